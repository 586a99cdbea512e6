"""Decoders: what the model emits to what the user gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from stentor.interfaces.component import Component


class SearchDecoder(Component, ABC):
    """Frame-wise log-probabilities to token ids (CTC and lattice search)."""

    @abstractmethod
    def search(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        """Best token sequence of each row.

        Args:
            log_probs: float [B, T, V]; index 0 is the blank.
            lengths: int64 [B], valid frames.
        """


class WaveformDecoder(Component, ABC):
    """Codes to waveform (codec decoder, or flow matching and vocoder)."""

    sample_rate: int

    @abstractmethod
    def synthesise(self, codes: Tensor, lengths: Tensor, **conditions: Any) -> tuple[Tensor, Tensor]:
        """Waveforms float [B, N] in [-1, 1] and sample counts [B] of codes int64 [B, T] or [B, T, codebooks]."""
