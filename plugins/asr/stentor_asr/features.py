"""Log-mel features, one utterance and a few seconds at a time, so that what is worked on stays in the cache."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

SAMPLE_RATE = 16000
WINDOW, HOP, TRANSFORM = 400, 160, 512  # samples: 25 ms, 10 ms, and the next power of two
FRAME_RATE = SAMPLE_RATE / HOP
_BLOCK = 250  # frames
_GROUP = 20  # bands
_FLOOR = 1e-8


@runtime_checkable
class HasFeatures(Protocol):
    """An encoder in two parts: `features` has no weights, so that its outputs can be cached, and `encode` goes on."""

    features: nn.Module

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]: ...


class LogMel(nn.Module):
    """Log-mel energies with each band at mean 0 and deviation 1 over the utterance.

    Frames lie wholly inside the utterance (none is padded at its ends), so they cannot depend on the batch's padding;
    an utterance shorter than one window is filled up with silence.

    Args:
        bands: mel bands between 20 Hz and half the sample rate.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int = 80) -> None:
        super().__init__()
        self.bands = bands
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        # a bin's real and imaginary squares lie side by side and are summed by the product with its filters
        self.register_buffer("filters", mel_filters(bands).repeat_interleave(2, dim=0), persistent=False)
        with torch.device("cpu"):  # which bins a band reaches is known even to a module that takes no memory
            shape = mel_filters(bands).repeat_interleave(2, dim=0)
        self._groups = [_reach(shape, first) for first in range(0, bands, _GROUP)]

    @staticmethod
    def frames(samples: int) -> int:
        """How many frames `samples` samples give."""
        return 1 + max(0, samples - WINDOW) // HOP

    @torch.no_grad()
    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features float32 [B, T, bands] and lengths int64 [B] of audio float [B, N] at 16 kHz and lengths [B]."""
        counts = lengths.tolist()
        rows = [self._normal(self._energies(row[:count].float())) for row, count in zip(audio, counts, strict=True)]
        valid = torch.tensor([len(row) for row in rows], device=lengths.device)
        return pad_sequence(rows, batch_first=True), valid

    def _energies(self, wave: Tensor) -> Tensor:
        """Log energies [T, bands] of one waveform [N]."""
        if len(wave) < WINDOW:
            wave = nn.functional.pad(wave, (0, WINDOW - len(wave)))
        frames = wave.unfold(0, WINDOW, HOP)
        energies = wave.new_empty(len(frames), self.bands)
        padded = wave.new_zeros(min(_BLOCK, len(frames)), TRANSFORM)
        for block, found in zip(torch.split(frames, _BLOCK), torch.split(energies, _BLOCK), strict=True):
            self._block(block, padded[: len(block)], found)
        return energies.clamp_(min=_FLOOR).log_()

    def _block(self, frames: Tensor, padded: Tensor, energies: Tensor) -> None:
        """Energies of `frames` [T, WINDOW], written to `energies` [T, bands]; `padded` is zero beyond the window."""
        torch.mul(frames, self.window.float(), out=padded[:, :WINDOW])
        parts = torch.view_as_real(torch.fft.rfft(padded)).flatten(1)
        squares = parts.mul_(parts)
        filters = self.filters.float()
        for bins, bands in self._groups:
            torch.matmul(squares[:, bins], filters[bins, bands], out=energies[:, bands])

    @staticmethod
    def _normal(features: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(features, dim=0, correction=0)
        return features.sub_(mean).div_(deviation.add_(0.1))


def mel_filters(bands: int, low: float = 20.0, high: float = SAMPLE_RATE / 2) -> Tensor:
    """Triangles [TRANSFORM / 2 + 1, bands] of peak 1, evenly spaced on the mel scale from `low` to `high` (Hz).

    The scale is O'Shaughnessy's: 2595 log10(1 + f / 700).
    """
    edges = torch.linspace(_mel(low), _mel(high), bands + 2)
    hertz = torch.linspace(0, SAMPLE_RATE / 2, TRANSFORM // 2 + 1)
    places = 2595 * torch.log10(1 + hertz / 700)
    rising = (places[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places[:, None]) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def _reach(filters: Tensor, first: int) -> tuple[slice, slice]:
    """Rows of `filters` in which the bands from `first` on are not all zero, and these bands: most filters are."""
    bands = slice(first, min(first + _GROUP, filters.shape[1]))
    rows = filters[:, bands].any(dim=1).nonzero()
    return slice(int(rows[0]), int(rows[-1]) + 1), bands


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
