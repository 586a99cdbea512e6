"""The kinds that this plugin declares: acoustic models and vocoders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.interfaces.component import Component


class Vocoder(Component, nn.Module):
    """Log-mel spectrograms (`stentor_tts.mel`) to waveforms; a batch gives what its rows give alone.

    Capability ``"streaming"``: `step` gives the whole utterance's waveform, piece by piece.
    """

    contract: ClassVar[str] = "stentor_tts.testing:VocoderContract"

    @abstractmethod
    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Waveforms float [B, T * HOP] in [-1, 1] of log-mel frames float [B, T, BINS], `lengths` [B] of them valid."""

    def initial_state(self, batch: int) -> Any:
        """State of `batch` new streams."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="vocoder")

    def step(self, mel: Tensor, state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Samples [B, n] that the next frames [B, t, BINS] settle, and the next state; `state` is not changed."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="vocoder")


@dataclass(frozen=True)
class Reference:
    """A voice to speak in, by example.

    Attributes:
        mel: float [T, BINS], what the voice sounds like, a few seconds of speech.
        codes: its codes, where they are known: then what is made goes on from the example (prompt continuation).
    """

    mel: Tensor
    codes: Codes | None = None


class Acoustic(Component, nn.Module):
    """Codes and a reference voice to log-mel spectrograms. Wired with the codec's `CodecSpec`.

    A row of G groups of codes gives ``G * frames_per_group`` frames. Noise is drawn from a generator of its own, so
    that the same seed gives the same frames.

    Capability ``"streaming"``: `step` equals `generate` on the whole utterance away from the edges of chunks.
    """

    contract: ClassVar[str] = "stentor_tts.testing:AcousticContract"

    def __init__(self, codec: CodecSpec) -> None:
        super().__init__()
        self.codec = codec

    @abstractmethod
    def loss(self, codes: Sequence[Codes], mels: Sequence[Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Training loss of frames float [T_i, BINS] under their codes, and named parts to log."""

    @abstractmethod
    def generate(
        self, codes: Sequence[Codes], references: Sequence[Reference | None], *, seed: int = 0
    ) -> list[Tensor]:
        """Frames float [T_i, BINS] of each row; a row without a reference speaks in the average voice."""

    def initial_state(self, reference: Reference | None, *, seed: int = 0) -> Any:
        """State of one new stream."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="acoustic")

    def step(self, codes: Codes, state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Frames [t, BINS] that the next whole groups of codes settle, and the next state; `state` is not changed."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="acoustic")
