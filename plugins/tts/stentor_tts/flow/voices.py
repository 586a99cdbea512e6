"""Variation of voices in training: one warp of frequencies for a reference and what is said in its voice."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from stentor_tts.mel import BINS, LOWEST, edges_of_bins

_SMOOTH = 16
"""Cosines over the mel bins that make the envelope; the harmonics of a voice up to about 400 Hz lie above them."""
_TILTS = 4


class VoiceWarp:
    """Draws voices that nobody has: log-mel frames through a source-filter split by smoothing over frequency.

    The envelope of each frame (its formants) and what is left of it (the harmonics of its pitch) are stretched over
    frequency by factors of their own, and a smooth curve is added, another microphone and another timbre: vocal tract
    length perturbation (Jaitly and Hinton 2013, ICML workshop) with pitch and colour beside it.

    Args:
        share: of the rows that are varied.
        formants: largest factor of the envelope, up or down.
        pitch: largest factor of the harmonics, up or down.
        colour: standard deviation of each cosine of the added curve (dB).
    """

    def __init__(self, share: float, formants: float, pitch: float, colour: float) -> None:
        self.share, self.formants, self.pitch, self.colour = share, formants, pitch, colour

    def draw(self, rows: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices [B, BINS, BINS] and offsets [B, 1, BINS] (natural logarithm) of as many voices."""
        chosen = (torch.rand(rows, 1) < self.share).to(like)
        factors = [
            torch.exp((2 * torch.rand(rows, 1).to(like) - 1) * chosen * math.log(most))
            for most in (self.formants, self.pitch)
        ]
        smooth = envelope(like.device, like.dtype)
        rough = torch.eye(BINS, device=like.device, dtype=like.dtype) - smooth
        matrices = stretched(factors[0]) @ smooth + stretched(factors[1]) @ rough
        curve = torch.randn(rows, _TILTS).to(like) * chosen * (self.colour * math.log(10) / 20)
        return matrices, (curve @ cosines(_TILTS + 1, like.device, like.dtype)[1:])[:, None]


def applied(mel: Tensor, voice: tuple[Tensor, Tensor]) -> Tensor:
    """Log-mel frames [B, T, BINS] in the voices drawn for them."""
    matrices, offsets = voice
    return (mel @ matrices.transpose(1, 2) + offsets).clamp(min=LOWEST)


def stretched(factors: Tensor) -> Tensor:
    """Matrices [B, BINS, BINS] that move what is at frequency f to f * factor, for factors [B, 1]."""
    hertz = centres(factors.device, factors.dtype)
    sources = torch.searchsorted(hertz, hertz / factors).clamp(1, BINS - 1)
    low, high = hertz[sources - 1], hertz[sources]
    places = (sources - 1 + (hertz / factors - low) / (high - low)).clamp(0, BINS - 1)
    bins = torch.arange(BINS, device=factors.device, dtype=factors.dtype)
    return (1 - (places[..., None] - bins).abs()).clamp(min=0)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def centres(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Centre of each mel bin (Hz), [BINS]."""
    return edges_of_bins()[1:-1].to(device, dtype)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def cosines(count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The first `count` cosines over the bins, [count, BINS], each of mean square 1."""
    places = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
    waves = torch.cos(math.pi * torch.arange(count, dtype=torch.float64)[:, None] * places) * math.sqrt(2)
    waves[0] = 1.0
    return waves.to(device, dtype)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def envelope(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Projection [BINS, BINS] of a frame on its smooth part."""
    waves = cosines(_SMOOTH, device, dtype)
    return waves.T @ waves / BINS
