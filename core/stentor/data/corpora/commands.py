"""The default training corpus: spoken commands, text from a grammar, audio from synthesis voices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stentor.data.augment.noise import COLOURS
from stentor.data.corpora.commands_audio import Plan, make
from stentor.data.corpora.commands_text import Part, Sentences
from stentor.data.corpora.speaking import check_voices, in_processes
from stentor.interfaces.corpus import Corpus, Item, Rejected

# Clear to a recogniser and apart from one another: speaker embeddings have cosines of at most 0.77 between their means.
_VOICES = ("hibari", "hibari", "espeak:en-us", "espeak:en-us+f2", "espeak:en-us+klatt2", "espeak:en-us+edward",
           "espeak:en-us+Michael", "espeak:en-us+steph")  # fmt: skip
_SPEEDS = (0.85, 1.2)
_SNRS = (20.0, 15.0, 10.0)  # dB


class Commands(Corpus):
    """Synthetic English commands for a home, a car, music and a calendar: 378 words, 4 to 9 of them in a sentence.

    Held-out sentences never occur in training, and the held-out voice speaks held-out sentences only. The same settings
    give the same bytes, and a build that was cut off goes on where it stopped.

    Args:
        utterances: in split ``train``.
        valid: utterances in split ``valid``: training voices, unseen sentences.
        heldout_sentences: utterances in that split: training voices, unseen sentences, clean.
        heldout_voice: utterances in that split: unseen voice, unseen sentences, clean.
        voices: of training, ``name`` or ``name:variant``; one that is listed twice speaks twice as much.
        unseen_voice: the held-out one.
        noisy: share of training utterances with coloured noise added at 20, 15 or 10 dB.
        workers: processes to speak in.
        seed: of everything.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        utterances: int = 2400,
        valid: int = 100,
        heldout_sentences: int = 160,
        heldout_voice: int = 110,
        voices: tuple[str, ...] = _VOICES,
        unseen_voice: str = "piper",
        noisy: float = 0.4,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        check_voices(voices, unseen_voice)
        self._workspace, self._voices, self._unseen = Path(workspace), tuple(voices), (unseen_voice,)
        self._sizes = {"train": utterances, "valid": valid, "heldout-sentences": heldout_sentences,
                       "heldout-voice": heldout_voice}  # fmt: skip
        self._noisy, self._workers, self._seed = noisy, workers, seed

    def total(self) -> int:
        return sum(self._sizes.values())

    def plans(self) -> Iterator[Plan]:
        """Every utterance, before any is made; fixed by the settings."""
        streams: dict[Part, Sentences] = {}
        for split, size in self._sizes.items():
            part: Part = "heldout" if split.startswith("heldout") else split  # type: ignore[assignment]
            sentences = streams.setdefault(part, Sentences(part, self._seed))
            rng = random.Random(f"{split} {self._seed}")
            for index in range(size):
                yield self._plan(split, index, sentences.draw(), rng)

    def _plan(self, split: str, index: int, text: str, rng: random.Random) -> Plan:
        voices = self._unseen if split == "heldout-voice" else self._voices
        speed, snr = round(rng.uniform(*_SPEEDS), 2), rng.choice(_SNRS)
        noisy = rng.random() < self._noisy and split == "train"
        return Plan(f"{split}-{index:05d}", split, text, voices[index % len(voices)], speed,
                    snr if noisy else None, rng.choice(list(COLOURS)), rng.getrandbits(32))  # fmt: skip

    def items(self) -> Iterator[Item | Rejected]:
        yield from in_processes(partial(make, folder=self._workspace), self.plans(), self._workers)
