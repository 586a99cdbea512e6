"""Corpus `field-commands`: the commands of corpus `commands` from other voices, under new conditions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

from stentor.config import ranges
from stentor.data.augment.noise import COLOURS
from stentor.data.corpora.commands_text import Part, Sentences
from stentor.data.corpora.speaking import in_processes
from stentor.interfaces.corpus import Corpus, Item, Rejected
from stentor_asr.mining.field_audio import Garbage, Take, make

# Unseen variants that a model of corpus `commands` understands, and accents that it does not; each split has its own.
_EASY = ("Alex", "Denis", "Gene", "Mario", "Mike", "Storm", "adam", "caleb", "ed", "iven", "john", "klatt3", "klatt4",
         "linda", "m1", "m2", "m4", "m5", "m7", "f5")  # fmt: skip
_EASY_TEST = ("croak", "gustave", "grandpa", "klatt5", "m6", "max", "pablo", "quincy", "rob", "victor")
_ACCENTS = tuple(
    f"{accent}{variant}" for accent in ("en-029", "en-gb-scotland") for variant in ("", "+m2", "+m5", "+Mike")
)
_ACCENTS_TEST = tuple(
    f"{accent}{variant}" for accent in ("en-029", "en-gb-scotland") for variant in ("+rob", "+max", "+m6")
)
_CONDITIONS = ("accent", "telephone", "fast", "noise")
_FAST, _LOUD, _MILD = (1.5, 1.8), (0.0, 5.0), 20.0  # times the normal speed; dB; dB


class FieldCommands(Corpus):
    """Synthetic commands as they come in from the field, for experiments on adaptation and hard-sample mining.

    Most utterances are easy (unseen voices, at most mild noise). A share is hard: an accent, a simulated telephone,
    fast speech or loud noise. A share of the pool is garbage that nobody could transcribe (no speech, clipped, buried
    in noise, babble) and has no text. Split ``test`` has voices and sentences that no other split has. The same
    settings give the same bytes.

    Args:
        labelled: utterances in that split: the small labelled set of the domain, without garbage.
        pool: utterances in that split, to choose from; their texts are there for whoever plays the annotator.
        test: utterances in that split, without garbage.
        hard: share of hard utterances.
        garbage: share of the pool that is garbage.
        workers: processes to speak in.
        seed: of everything.

    Raises:
        StentorError: when a share is not one, or both together are more than 1.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        labelled: int = 180,
        pool: int = 1150,
        test: int = 360,
        hard: float = 0.15,
        garbage: float = 0.06,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        together = hard + garbage <= 1
        ranges.refuse(
            {
                "hard": (hard, ranges.share(hard)),
                "garbage": (garbage, ranges.share(garbage)),
                "hard + garbage": (hard + garbage, (together, f"at most 1, not {hard + garbage:g}")),
            },
            "corpus.",
        )
        self._workspace, self._sizes = Path(workspace), {"labelled": labelled, "pool": pool, "test": test}
        self._hard, self._garbage, self._workers, self._seed = hard, garbage, workers, seed

    def total(self) -> int:
        return sum(self._sizes.values())

    def takes(self) -> Iterator[Take]:
        """Every utterance, before any is made; fixed by the settings."""
        for split, size in self._sizes.items():
            part: Part = "heldout" if split == "test" else "train"
            sentences = Sentences(part, self._seed + 1 + list(self._sizes).index(split))
            rng = random.Random(f"field {split} {self._seed}")
            for index in range(size):
                yield self._take(split, index, sentences.draw(), rng)

    def _take(self, split: str, index: int, text: str, rng: random.Random) -> Take:
        """Speakers take turns, and hard conditions come at random."""
        drawn, condition = rng.random(), rng.choice(_CONDITIONS)
        hard = drawn < self._hard
        garbage = split == "pool" and self._hard <= drawn < self._hard + self._garbage
        kind: Garbage | None = rng.choice(get_args(Garbage)) if garbage else None
        easy, accents = (_EASY_TEST, _ACCENTS_TEST) if split == "test" else (_EASY, _ACCENTS)
        variant = rng.choice(accents) if hard and condition == "accent" else f"en-us+{easy[index % len(easy)]}"
        speed = rng.uniform(*_FAST) if hard and condition == "fast" else rng.uniform(0.9, 1.15)
        snr = _MILD if rng.random() < 0.3 else None
        if hard and condition == "noise":
            snr = round(rng.uniform(*_LOUD), 1)
        return Take(f"{split}-{index:05d}", split, text, f"espeak:{variant}", round(speed, 2),
                    condition if hard else "easy", snr, "white" if hard or kind else rng.choice(list(COLOURS)),
                    kind, rng.getrandbits(32))  # fmt: skip

    def items(self) -> Iterator[Item | Rejected]:
        yield from in_processes(partial(make, folder=self._workspace), self.takes(), self._workers)
