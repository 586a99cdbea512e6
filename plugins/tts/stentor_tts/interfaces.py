"""The kinds that this plugin declares: acoustic models and vocoders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.interfaces.component import Component
from stentor_tts.mel import FRAME_RATE


class Vocoder(Component, nn.Module):
    """Log-mel spectrograms (`stentor_tts.mel`) to waveforms; a batch gives what its rows give alone.

    Capability ``"streaming"``: `step` gives the whole utterance's waveform, piece by piece.
    """

    contract: ClassVar[str] = "stentor_tts.testing:VocoderContract"

    @abstractmethod
    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Waveforms float [B, T * HOP] in [-1, 1] of log-mel frames float [B, T, BINS], `lengths` [B] of them valid."""

    def learn(self, mel: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        """For training: waveforms [B, T * HOP] of whole crops [B, T, BINS] of log-mel frames, a loss (scalar) of what
        else it has to find, e.g. the pitch of `audio` [B, T * HOP] under them, and named parts of that to log."""
        made = self(mel, torch.full((len(mel),), mel.shape[1], device=mel.device))
        return made, made.new_zeros(()), {}

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
        codes: its codes, where they are known: they show how this voice says what.
    """

    mel: Tensor
    codes: Codes | None = None


class Acoustic(Component, nn.Module):
    """Codes and a reference voice to log-mel spectrograms. Wired with the codec's `CodecSpec`.

    A row of G groups of codes gives ``G * group_frames`` frames. Noise is drawn from a generator of its own and belongs
    to the place in the utterance, so that the same seed gives the same frames.

    Capability ``"streaming"``: where `streams` is true, `step` equals `generate` on the whole utterance, however its
    codes are cut.

    Attributes:
        codec: whose codes it speaks.
        delay: the most groups of codes that `step` holds back.
    """

    contract: ClassVar[str] = "stentor_tts.testing:AcousticContract"

    def __init__(self, codec: CodecSpec) -> None:
        super().__init__()
        self.codec = codec

    @abstractmethod
    def loss(
        self, codes: Sequence[Codes], mels: Sequence[Tensor], speakers: Sequence[str]
    ) -> tuple[Tensor, dict[str, float]]:
        """Training loss (scalar) of frames float [T_i, BINS] under their codes, and named parts to log.

        In evaluation mode the same batch gives the same loss.

        Args:
            codes: of each utterance, at least two groups.
            mels: log-mel frames, at least as many as the codes cover.
            speakers: who speaks, so that utterances can be references of one another; empty where it is not known.

        Raises:
            StentorError: for codes that are not the codec's, or too few frames.
        """

    @abstractmethod
    def generate(
        self, codes: Sequence[Codes], references: Sequence[Reference | None], *, seed: int = 0
    ) -> list[Tensor]:
        """Frames float [T_i, BINS] of each row; a row without a reference speaks in the average voice.

        A batch gives what its rows give alone.

        Raises:
            StentorError: for codes that are not the codec's.
        """

    @property
    def group_frames(self) -> int:
        """Mel frames in one group of codes."""
        return round(self.codec.group_samples * FRAME_RATE / self.codec.sample_rate)

    @property
    def streams(self) -> bool:
        """Whether this instance streams; a configuration may rule out what the class claims."""
        return "streaming" in self.capabilities

    @property
    def delay(self) -> int:
        return 0

    def initial_state(self, reference: Reference | None, *, seed: int = 0) -> Any:
        """State of one new stream, an explicit object that belongs to it and to nothing else."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="acoustic")

    def step(self, codes: Codes, state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Frames [t, BINS] that the next whole groups of codes settle, and the next state; `state` is not changed."""
        raise StentorError(f"{type(self).__name__} does not stream.", path="acoustic")
