"""Voices: text to speech engines used as teachers, to make training and test audio."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from stentor.interfaces.component import Component


class Voice(Component, ABC):
    """A synthesis voice. What it makes is synthetic speech and is always labelled so.

    Attributes:
        sample_rate: of its output (Hz).
        licence: of the engine and the voice data, recorded in the manifest.
    """

    sample_rate: int
    licence: str

    @abstractmethod
    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        """Mono float32 [N] in [-1, 1] of `text`; `speed` 2.0 speaks twice as fast. Deterministic."""
