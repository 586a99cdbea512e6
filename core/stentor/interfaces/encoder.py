"""Encoders: waveform to frames."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stentor.interfaces.component import Component


@dataclass(frozen=True)
class EncoderSpec:
    """What a neighbour must know of an encoder: width, frames per second (Hz) and input sample rate (Hz)."""

    dim: int
    frame_rate: float
    sample_rate: int


class Encoder(Component, nn.Module):
    """Turns a batch of waveforms into frames.

    Padding invariance: the valid frames of an utterance do not depend on how far the batch pads it, and a batch gives
    what its utterances give alone.

    Capability ``streaming``: `initial_state` and `step` are implemented and equal `forward` on the whole waveform.

    Attributes:
        dim: width of the frames.
        frame_rate: frames per second (Hz).
        sample_rate: of the input (Hz).
    """

    dim: int
    frame_rate: float
    sample_rate: int

    @classmethod
    @abstractmethod
    def spec(cls, **configured: Any) -> EncoderSpec:
        """The spec of an instance with this configuration, without building it or reading weights."""

    @abstractmethod
    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            audio: float [B, N], waveforms in [-1, 1] at ``sample_rate``, zero-padded.
            lengths: int64 [B], valid samples of each row.

        Returns:
            Frames [B, T, dim] and their valid lengths int64 [B].
        """

    @abstractmethod
    def frames(self, samples: int) -> int:
        """How many valid frames an utterance of `samples` samples gives."""

    def initial_state(self, batch: int) -> Any:
        """Streaming state of `batch` new streams, an explicit object."""
        raise TypeError(f"{type(self).__name__} does not stream")

    def step(self, audio: Tensor, state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Encode the next chunk [B, n] of every stream.

        Args:
            audio: float [B, n], the next samples of each stream; n may be any number.
            state: what `initial_state` or the previous call gave.
            last: whether the streams end here; then everything still held back is given out.

        Returns:
            New frames [B, t, dim], t >= 0, and the next state.
        """
        raise TypeError(f"{type(self).__name__} does not stream")
