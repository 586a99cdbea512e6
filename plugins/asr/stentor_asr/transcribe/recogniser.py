"""The interface of recognisers: windows of audio to segments of text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from stentor.interfaces.component import Component
from stentor_asr.transcribe.windows import cut, is_silent


@dataclass(frozen=True)
class Segment:
    """A stretch of speech.

    Attributes:
        start: (s).
        end: (s), after `start`.
        text: what was said.
        confidence: geometric mean of the tokens' probabilities, in (0, 1], where the recogniser knows it.
    """

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True)
class Heard:
    """What was heard in one window: segments with times from the window's beginning, and what to warn of."""

    segments: tuple[Segment, ...] = ()
    language: str | None = None
    warnings: tuple[str, ...] = ()


class Recogniser(Component, ABC):
    """Speech to text, window by window. `load_pretrained` reads the weights; until then it cannot `recognise`.

    Attributes:
        sample_rate: of the windows (Hz).
        window_seconds: the longest window it takes (s).
    """

    contract: ClassVar[str] = "stentor_asr.testing:RecogniserContract"
    sample_rate: int
    window_seconds: float = 30.0

    @abstractmethod
    def recognise(self, windows: Sequence[np.ndarray]) -> list[Heard]:
        """Transcribe a batch; every window is heard on its own, so that a batch gives what its windows give alone.

        Args:
            windows: mono float32 [N] in [-1, 1] each, of any length up to `window_seconds`.
        """

    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """One text per row of a batch with ``audio`` [B, N] and ``audio_lengths`` [B]; silence has none."""
        lengths = [int(length) for length in batch["audio_lengths"]]
        rows = [np.asarray(row[:length], np.float32) for row, length in zip(batch["audio"], lengths, strict=True)]
        pieces = [
            (index, window.samples)
            for index, row in enumerate(rows)
            for window in cut([row], self.sample_rate, self.window_seconds)
            if not is_silent(window.samples, self.sample_rate)
        ]
        texts: list[list[str]] = [[] for _ in rows]
        for (index, _), heard in zip(pieces, self.recognise([samples for _, samples in pieces]), strict=True):
            texts[index].extend(segment.text for segment in heard.segments)
        return [" ".join(text) for text in texts]
