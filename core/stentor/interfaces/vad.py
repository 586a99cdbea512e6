"""Voice activity detectors: waveform to the probability of speech, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stentor.interfaces.component import Component

Waves = NDArray[np.float32]


@dataclass
class VADState:
    """Where some streams stand; it belongs to them and to nothing else, and one call uses it up.

    Attributes:
        held: float32 [B, n], samples of a frame that is not yet whole.
        inner: what the detector itself remembers.
    """

    held: Waves
    inner: Any


class VAD(Component, ABC):
    """Says how likely each frame is speech, from it and what came before.

    Frame k covers the samples from ``k * frame_samples`` on; a frame that is not whole is not judged. Whole recordings
    and streams go through the same `judge`, so that they agree, and rows of a batch do not know of one another.

    Attributes:
        sample_rate: of the waveforms (Hz).
        frame_seconds: length of a frame (s), a whole number of samples.
    """

    sample_rate: int
    frame_seconds: float

    @abstractmethod
    def begin(self, batch: int) -> Any:
        """What the detector itself remembers of `batch` new streams."""

    @abstractmethod
    def judge(self, frames: Waves, inner: Any) -> tuple[Waves, Any]:
        """Probabilities float32 [B, T] in [0, 1] of whole frames [B, T, frame_samples], and what to remember."""

    @property
    def frame_samples(self) -> int:
        """Samples in a frame."""
        return round(self.frame_seconds * self.sample_rate)

    def frames(self, samples: int) -> int:
        """How many frames are judged of `samples` samples."""
        return samples // self.frame_samples

    def initial_state(self, batch: int) -> VADState:
        """The state of `batch` new streams."""
        return VADState(np.zeros((batch, 0), np.float32), self.begin(batch))

    def step(self, audio: Waves, state: VADState) -> tuple[Waves, VADState]:
        """Probabilities [B, t] of the frames that the next samples [B, n] complete, and the next state."""
        held = np.concatenate([state.held, audio], axis=1)
        count = self.frames(held.shape[1])
        if not count:
            return np.zeros((len(held), 0), np.float32), VADState(held, state.inner)
        size = count * self.frame_samples
        found, inner = self.judge(held[:, :size].reshape(len(held), count, self.frame_samples), state.inner)
        return found, VADState(held[:, size:], inner)

    def probabilities(self, audio: Waves, lengths: NDArray[np.int64]) -> list[Waves]:
        """Probabilities float32 [frames] of each row of `audio` [B, N], of which `lengths` [B] samples are valid."""
        found, _ = self.step(audio, self.initial_state(len(audio)))
        return [row[: self.frames(int(length))] for row, length in zip(found, lengths, strict=True)]
