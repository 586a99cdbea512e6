"""Encoders: waveform to frames."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.component import Component


@dataclass(frozen=True)
class EncoderSpec:
    """What a neighbour must know of an encoder: width, frames per second (Hz) and input sample rate (Hz)."""

    dim: int
    frame_rate: float
    sample_rate: int

    def __str__(self) -> str:
        return f"{self.dim} wide, {self.frame_rate:g} frames/s, audio at {self.sample_rate} Hz"


class Encoder(Component, nn.Module):
    """Turns a batch of waveforms into frames.

    Padding invariance: the valid frames of an utterance do not depend on how far the batch pads it, and a batch gives
    what its utterances give alone.

    Capability ``streaming``: where `streams` is true, `initial_state` and `step` equal `forward` on the whole waveform.

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

    @property
    def streams(self) -> bool:
        """Whether this instance streams; a configuration may rule out what the class claims."""
        return "streaming" in self.capabilities

    @property
    def delay(self) -> float:
        """The most audio that `step` holds back (s): of n samples, all but the frames of that much are given out."""
        return 0.0

    def initial_state(self, batch: int) -> Any:
        """Streaming state of `batch` new streams: an explicit object that belongs to them and to nothing else.

        Raises:
            StentorError: when this instance does not stream.
        """
        raise self.no_streaming("it needs the whole utterance")

    def step(self, audio: Tensor, state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Encode the next chunk [B, n] of every stream, in evaluation mode and without gradients.

        Args:
            audio: float [B, n], the next samples of each stream; n may be any number, 0 too.
            state: what `initial_state` or the previous call gave; it is not changed, so that a stream can go on from
                it more than once.
            last: whether the streams end here; then everything still held back is given out.

        Returns:
            New frames [B, t, dim], t >= 0, and the next state.

        Raises:
            StentorError: when this instance does not stream.
        """
        raise self.no_streaming("it needs the whole utterance")

    def no_streaming(self, reason: str) -> StentorError:
        """The error of an encoder that is asked to stream and does not."""
        return StentorError(f"{type(self).__name__} does not stream: {reason}.", path="encoder")
