"""Griffin and Lim: no training, phases by iteration."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts import mel as mels
from stentor_tts.convnext import mask_of
from stentor_tts.interfaces import Vocoder
from stentor_tts.mel import HOP, SAMPLE_RATE
from stentor_tts.overlap import FFT, POINTS, Overlap, log_magnitudes, transform

_BEFORE = (FFT - HOP) // 2


class GriffinLim(Vocoder):
    """Fast Griffin-Lim (Perraudin et al., 2013) over magnitudes that fit the mel bands; a baseline without training.

    Magnitudes come from the non-negative least squares of the mel filters, by multiplicative updates (Lee and Seung,
    2001) that begin with what the bands suggest. Zero phases begin the iteration, so nothing is random.

    Args:
        iterations: over the phases.
        momentum: of the fast variant; 0 is the algorithm of Griffin and Lim (1984).
        fits: updates of the magnitudes.
    """

    def __init__(self, *, iterations: int = 32, momentum: float = 0.99, fits: int = 16) -> None:
        super().__init__()
        self.iterations, self.momentum, self.fits = iterations, momentum, fits

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        mask = mask_of(lengths, mel.shape[1])
        size = self.magnitudes(mel)
        turn = torch.ones_like(size)
        turn[..., 1::2] = -1.0  # a pulse in the middle of every window
        angle = torch.complex(turn, torch.zeros_like(turn))
        before = torch.zeros_like(angle)
        for _ in range(self.iterations):
            now = _analysed(_sound(size * angle, mask))
            ahead = now + self.momentum * (now - before)
            angle, before = ahead / ahead.abs().clamp(min=1e-9), now
        return _sound(size * angle, mask).clamp(-1, 1)

    def magnitudes(self, mel: Tensor) -> Tensor:
        """Magnitudes [B, T, POINTS] whose mel bands are those of log-mel frames [B, T, BINS]."""
        bank, wanted = _bank(mel.device, mel.dtype), mel.exp()
        found = log_magnitudes(mel).exp()
        for _ in range(self.fits):
            found = found * ((wanted @ bank) / (functional.linear(found, bank) @ bank).clamp(min=1e-9))
        return found


def _sound(spectra: Tensor, mask: Tensor | None) -> Tensor:
    """Samples [B, T * HOP] of whole utterances, silence behind the valid frames."""
    if mask is not None:
        spectra = spectra * mask
    found = Overlap.step(spectra, Overlap.initial_state(len(spectra), spectra.real), last=True)[0]
    return found if mask is None else found * mask.expand(-1, -1, HOP).flatten(1)


def _analysed(sound: Tensor) -> Tensor:
    """Spectra [B, T, POINTS] of samples [B, T * HOP]."""
    return transform(functional.pad(sound, (_BEFORE, FFT - HOP - _BEFORE)).unfold(1, FFT, HOP))


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def _bank(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Mel filters [BINS, POINTS] on the points of `stentor_tts.overlap`."""
    edges = mels.edges_of_bins()
    points = torch.linspace(0, SAMPLE_RATE / 2, POINTS, dtype=torch.float64)
    rising = (points - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - points) / (edges[2:] - edges[1:-1])[:, None]
    shape = torch.minimum(rising, falling).clamp(min=0)
    level = mels.filters(torch.device("cpu"), torch.float64).sum(1, keepdim=True)
    return (shape / shape.sum(1, keepdim=True) * level).to(device, dtype)
