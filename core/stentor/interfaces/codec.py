"""Codecs: waveform to discrete codes and, where a codec can, back. They are the tokenizers of audio."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.component import Component
from stentor.interfaces.tokenizer import Codebook

Codes = tuple[Tensor, ...]
"""Codes of one utterance: int64 [T_k] for each codebook k, each from 0 on; T_k differs where rates differ."""


@dataclass(frozen=True)
class CodecSpec:
    """What a neighbour must know of a codec.

    Attributes:
        sample_rate: of the waveforms (Hz).
        codebooks: name, size and rate (Hz) of each.
        pattern: codes of each codebook in one group, the smallest stretch in which all of them come out even, e.g.
            ``(2, 3)`` for 16.7 Hz and 25 Hz, ``(1, 1, 1, 1)`` for four codebooks of one rate.
        group_samples: samples of audio behind one group.
    """

    sample_rate: int
    codebooks: tuple[Codebook, ...]
    pattern: tuple[int, ...]
    group_samples: int

    def __str__(self) -> str:
        books = ", ".join(f"{book.name} {book.size} at {book.rate:.3g} Hz" for book in self.codebooks)
        return f"codebooks {books}, {self.rate:.4g} codes/s, audio at {self.sample_rate} Hz"

    @property
    def group(self) -> int:
        """Codes in one group, over all codebooks."""
        return sum(self.pattern)

    @property
    def rate(self) -> float:
        """Codes per second, over all codebooks (Hz)."""
        return self.group * self.sample_rate / self.group_samples


class Codec(Component, nn.Module):
    """Turns waveforms into codes.

    An utterance gives whole groups only: ``samples // group_samples`` of them, so that what is at the end and fills no
    group is left out. A batch gives what its utterances give alone.

    Capabilities: ``"decode"`` for a codec that gives waveforms back, ``"streaming"`` for one whose `step` (and, with
    ``"decode"``, whose `decode_step`) equals the whole utterance.

    Attributes:
        declared: the spec of this instance.
    """

    declared: CodecSpec

    @classmethod
    @abstractmethod
    def spec(cls, **configured: Any) -> CodecSpec:
        """The spec of an instance with this configuration, without building it or reading weights."""

    @abstractmethod
    def encode(self, audio: Tensor, lengths: Tensor) -> list[Codes]:
        """Codes of every row, whole groups only.

        Args:
            audio: float [B, N], waveforms in [-1, 1] at the spec's sample rate, zero-padded.
            lengths: int64 [B], valid samples of each row.
        """

    def decode(self, codes: Sequence[Codes]) -> tuple[Tensor, Tensor]:
        """Waveforms float [B, N] and their valid samples [B]: ``groups * group_samples`` of each row.

        Raises:
            StentorError: when the codec does not decode.
        """
        raise StentorError(f"{type(self).__name__} does not turn codes into sound by itself.", path="codec")

    @property
    def streams(self) -> bool:
        """Whether this instance streams; a configuration may rule out what the class claims."""
        return "streaming" in self.capabilities

    @property
    def delay(self) -> float:
        """The most audio that `step` holds back (s): of n samples, all groups but those of that much are given out."""
        return self.declared.group_samples / self.declared.sample_rate

    def initial_state(self, batch: int) -> Any:
        """Encoding state of `batch` new streams, an explicit object that belongs to them and to nothing else."""
        raise self.no_streaming()

    def step(self, audio: Tensor, state: Any, *, last: bool = False) -> tuple[list[Codes], Any]:
        """Codes of the groups that the next samples [B, n] complete (n may be any number), and the next state.

        `state` is not changed. With `last` everything still held back is given out.
        """
        raise self.no_streaming()

    def initial_decode_state(self, batch: int) -> Any:
        """Decoding state of `batch` new streams."""
        raise self.no_streaming()

    def decode_step(self, codes: Sequence[Codes], state: Any, *, last: bool = False) -> tuple[Tensor, Any]:
        """Waveform [B, n] that the next whole groups of codes settle, and the next state; as `step`."""
        raise self.no_streaming()

    def no_streaming(self) -> StentorError:
        """The error of a codec that is asked to stream and does not."""
        return StentorError(f"{type(self).__name__} does not stream: it needs the whole utterance.", path="codec")
