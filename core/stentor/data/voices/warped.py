"""A voice made of another one: formants and pitch shifted together, so that one engine gives a range of speakers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from stentor.data.resample import resample
from stentor.data.voices.derived import Derived
from stentor.errors import StentorError

_FINEST = 40
"""Largest denominator of the ratio in which samples are converted."""


class Warped(Derived):
    """Another voice whose frequencies are multiplied by a factor; its tempo stays.

    What the base says at ``speed / factor`` is played `factor` times as fast: a factor below 1 is a larger, deeper
    speaker. The factor is rounded to a fraction with a denominator of at most 40.

    Args:
        base: the voice, as corpora name it: ``hibari``, ``espeak:en-us+f2``.
        factor: of all frequencies, 0.5 to 2.

    Raises:
        StentorError: for a factor outside that range.
    """

    def __init__(self, *, base: str = "espeak", factor: float = 0.9) -> None:
        if not 0.5 <= factor <= 2:
            raise StentorError("a factor lies between 0.5 and 2.", path="voice.factor", value=factor)
        self.base, self.ratio = base, Fraction(factor).limit_denominator(_FINEST)

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        spoken = self.of.speak(text, speed=speed / float(self.ratio))
        warped = resample(spoken, self.ratio.numerator, self.ratio.denominator)
        return np.clip(warped, -1.0, 1.0)
