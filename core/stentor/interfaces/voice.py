"""Voices: text to speech engines used as teachers, to make training and test audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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

    def speak_all(self, texts: Sequence[str], *, speeds: Sequence[float] | None = None) -> list[np.ndarray | Exception]:
        """What `speak` gives of each of several texts, or what it raises.

        Here they are said one after the other. A voice that gains from saying several together overrides it; what it
        gives of a text is what it gives of it alone, up to rounding.

        Args:
            texts: to say.
            speeds: of each text; None: 1.0 for all.
        """
        return [self._tried(text, speed) for text, speed in zip(texts, speeds or [1.0] * len(texts), strict=True)]

    def _tried(self, text: str, speed: float) -> np.ndarray | Exception:
        try:
            return self.speak(text, speed=speed)
        except Exception as cause:  # an engine is arbitrary code, and the other texts can be said all the same
            return cause
