"""Reward for being understood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from stentor.config.reference import NameOf
from stentor.evaluate.alignment import distance
from stentor.plugins import registry
from stentor_tts.judges import recognisers
from stentor_tts.rewards.audio import AudioReward, Item, text_of


class IntelligibilityReward(AudioReward):
    """One minus the word error rate of what a recogniser hears, 0 from 100 % on.

    Reads ``reference`` (or ``text``) of a prompt. The part is the uncapped ``rate``. Whichever recogniser rewards, the
    run has to be judged by another: with the default, report ``wer-whisper`` and do not report ``wer-moonshine``.

    Args:
        recogniser: a registered recogniser.
        normaliser: what counts as the same text; a registered normaliser.
    """

    nature = "learned"
    names = ("rate",)
    models = ("recogniser",)

    def __init__(
        self, *, recogniser: str = "moonshine", normaliser: Annotated[str, NameOf("normaliser")] = "english"
    ) -> None:
        self.recogniser = recogniser
        self._normalise = registry().build("normaliser", normaliser)

    def load_pretrained(self) -> dict[str, str]:
        return recognisers.provenance(self.recogniser)

    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        heard = recognisers.heard(self.recogniser, [wave.numpy() for wave in waves])
        return [self._one(text_of(prompt), text) for prompt, text in zip(prompts, heard, strict=True)]

    def _one(self, reference: str | None, heard: str) -> tuple[float, float]:
        if reference is None:
            return math.nan, math.nan
        words = self._normalise(reference).split()
        rate = distance(words, self._normalise(heard).split()) / max(1, len(words))
        return 1 - min(1.0, rate), rate
