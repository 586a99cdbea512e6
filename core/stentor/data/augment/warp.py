"""Warping of features: tempo and vocal tract, without touching the audio, so that features can be cached."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Warp(nn.Module):
    """Stretches features in time, the batch by one factor, and in frequency, each utterance by its own; training only.

    Tempo: Ko et al. 2015, "Audio augmentation for speech recognition" (Interspeech), here on features and without the
    change of pitch. Frequency: vocal tract length perturbation, Jaitly and Hinton 2013 (ICML workshop on deep learning
    for audio), here linear on the mel scale. Values between frames and between bands are interpolated linearly.

    Args:
        tempo: largest relative change of duration, e.g. 0.1 for factors from 0.9 to 1.1.
        tract: largest relative change of frequency.
    """

    def __init__(self, *, tempo: float = 0.1, tract: float = 0.1) -> None:
        super().__init__()
        self.tempo, self.tract = tempo, tract

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, T, bands] and lengths [B] to features [B, T', bands] and their lengths."""
        if not self.training:
            return features, lengths
        if self.tract:
            factors = 1 + self.tract * (2 * torch.rand(len(features), device=features.device) - 1)
            features = torch.bmm(features, band_weights(features.shape[2], factors).to(features.dtype))
        if self.tempo:
            factor = 1 + self.tempo * (2 * float(torch.rand(())) - 1)
            features, lengths = stretch(features, factor), stretched(lengths, factor)
        return features, lengths


def band_weights(bands: int, factors: Tensor) -> Tensor:
    """Matrices [B, bands, bands] whose column k reads band ``k * factor``, the highest one beyond the end."""
    places = (torch.arange(bands, device=factors.device) * factors[:, None]).clamp(max=bands - 1)
    sources = torch.arange(bands, device=factors.device)
    return (1 - (places[:, None, :] - sources[:, None]).abs()).clamp(min=0)


def stretch(features: Tensor, factor: float) -> Tensor:
    """Features [B, T, D] at `factor` times the duration, [B, T', D]; output t reads input ``t / factor``."""
    size = int((features.shape[1] - 1) * factor) + 1
    places = (torch.arange(size, device=features.device) / factor).clamp(max=features.shape[1] - 1)
    before = places.long()
    after = (before + 1).clamp(max=features.shape[1] - 1)
    share = (places - before)[:, None].to(features.dtype)
    return torch.lerp(features[:, before], features[:, after], share)


def stretched(lengths: Tensor, factor: float) -> Tensor:
    """Valid lengths [B] after `stretch`: no frame that reads beyond the end."""
    return ((lengths - 1).clamp(min=0) * factor).long() + 1
