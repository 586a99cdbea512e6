"""Spoken phrases for several tasks: transcription, translation into German, question answering."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from stentor.data.corpora.commands_audio import Plan, make
from stentor.data.corpora.commands_text import Part
from stentor.data.corpora.phrases_text import CHAT, Phrase, Phrases
from stentor.data.corpora.speaking import check_voices, in_processes
from stentor.interfaces.corpus import Corpus, Item, Rejected

_VOICES = ("hibari", "hibari", "espeak:en-us", "espeak:en-us+f2", "espeak:en-us+klatt2", "espeak:en-us+edward",
           "espeak:en-us+Michael", "espeak:en-us+steph")  # fmt: skip
_SPEEDS = (0.85, 1.2)
_QUESTIONS = 0.45


class SpokenPhrases(Corpus):
    """Synthetic speech with instructions: every clip stands in a row for each task that its words admit.

    A row's text is the right response; its custom fields say the ``instruction``, what is ``spoken``, and the ``task``.
    Held-out sentences never occur in training, nor in corpus `lm-text`, and the held-out voice speaks held-out
    sentences only. Training rows stand in ``train``; the others in one split for each task, ``-chat`` with chat-style
    instructions.

    Args:
        clips: of training; each gives about two rows.
        valid: clips of validation: training voices, unseen sentences.
        heldout: clips of held-out sentences by the training voices, and as many by the held-out voice.
        voices: of training, ``name`` or ``name:variant``; one that is listed twice speaks twice as much.
        unseen_voice: the held-out one.
        workers: processes to speak in.
        seed: of everything; fewer clips of the same seed are the first of more.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        clips: int = 1100,
        valid: int = 60,
        heldout: int = 160,
        voices: tuple[str, ...] = _VOICES,
        unseen_voice: str = "piper",
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        check_voices(voices, unseen_voice)
        self._workspace, self._voices, self._unseen = Path(workspace), tuple(voices), (unseen_voice,)
        self._sizes = {"train": clips, "valid": valid, "heldout-sentences": heldout, "heldout-voice": heldout}
        self._workers, self._seed = workers, seed

    def clips(self) -> Iterator[tuple[Plan, Phrase]]:
        """Every clip, before any is made; fixed by the settings."""
        for split, size in self._sizes.items():
            part: Part = "heldout" if split.startswith("heldout") else split  # type: ignore[assignment]
            phrases, rng = Phrases(part, self._seed), random.Random(f"{split} {self._seed}")
            voices = self._unseen if split == "heldout-voice" else self._voices
            for index in range(size):
                phrase = phrases.question() if rng.random() < _QUESTIONS else phrases.sentence()
                yield Plan(f"{split}-{index:05d}", split, phrase.spoken, voices[index % len(voices)],
                           round(rng.uniform(*_SPEEDS), 2), None, "white", 0), phrase  # fmt: skip

    def items(self) -> Iterator[Item | Rejected]:
        plans, phrases = zip(*self.clips(), strict=True)
        spoken = in_processes(partial(make, folder=self._workspace), plans, self._workers)
        yield from self._rows(spoken, phrases)

    def _rows(self, clips: Iterator[Item | Rejected], phrases: tuple[Phrase, ...]) -> Iterator[Item | Rejected]:
        rng = random.Random(f"chat {self._seed}")
        for clip, phrase in zip(clips, phrases, strict=True):
            if isinstance(clip, Rejected):
                yield clip
                continue
            for instruction, response in phrase.responses().items():
                yield _row(clip, phrase, instruction.split()[0], instruction, response)
            if clip.split.startswith("heldout"):
                task, response = rng.choice(list(phrase.chats().items()))
                yield _row(clip, phrase, "chat", rng.choice(CHAT[task]), response.strip())


def _row(clip: Item, phrase: Phrase, task: str, instruction: str, response: str) -> Item:
    split = f"{clip.split}-{task}" if clip.split.startswith("heldout") else clip.split
    told = {"instruction": instruction, "task": task, "spoken": phrase.spoken}
    return replace(clip, id=f"{clip.id}-{task}", text=response, split=split, custom={**clip.custom, **told})
