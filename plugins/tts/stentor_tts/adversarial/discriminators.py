"""Discriminators of waveforms, small enough to train beside a generator on one core."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.1
Judged = tuple[Tensor, list[Tensor]]
"""Scores of many places, and the hidden features before them."""


class NormedConvolution(nn.Conv2d):
    """A convolution whose filters have a length of their own (weight normalisation, Salimans, arXiv 1602.07868)."""

    def __init__(self, *shape: Any) -> None:
        super().__init__(*shape)
        nn.init.kaiming_normal_(
            self.weight, _SLOPE
        )  # keeps the size of signals, so that gradients reach the first layer
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.length = nn.Parameter(self.weight.detach().flatten(1).norm(dim=1))

    def forward(self, input: Tensor) -> Tensor:
        scale = self.length / self.weight.flatten(1).norm(dim=1)
        return self._conv_forward(input, self.weight * scale[:, None, None, None], self.bias)


class PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample as a picture (HiFi-GAN, Kong et al., arXiv 2010.05646)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, channels, 2 * channels, 4 * channels, 4 * channels]
        self.layers = nn.ModuleList(
            NormedConvolution(one, two, (5, 1), (stride, 1), (2, 0))
            for (one, two), stride in zip(pairwise(widths), (3, 3, 3, 1), strict=True)
        )
        self.final = NormedConvolution(widths[-1], 1, (3, 1), 1, (1, 0))

    def forward(self, audio: Tensor) -> Judged:
        """Judge waveforms [B, N]."""
        rest = -audio.shape[-1] % self.period
        seen = functional.pad(audio, (0, rest)).reshape(len(audio), 1, -1, self.period)
        return _through(seen, self.layers, self.final)


class SpectralDiscriminator(nn.Module):
    """Looks at the complex spectrogram at one resolution (EnCodec, Défossez et al., arXiv 2210.13438).

    Strides along the frequencies keep it small: a quarter of the points are left after the second layer.
    """

    def __init__(self, points: int, channels: int) -> None:
        super().__init__()
        self.points = points
        self.layers = nn.ModuleList(
            [
                NormedConvolution(2, channels, (7, 3), (3, 1), (3, 1)),
                NormedConvolution(channels, channels, (5, 3), (2, 1), (2, 1)),
                NormedConvolution(channels, 2 * channels, (5, 3), (2, 2), (2, 1)),
                NormedConvolution(2 * channels, 2 * channels, (3, 3), (2, 1), (1, 1)),
            ]
        )
        self.final = NormedConvolution(2 * channels, 1, (3, 3), 1, (1, 1))

    def forward(self, audio: Tensor) -> Judged:
        """Judge waveforms [B, N]."""
        window = torch.hann_window(self.points, device=audio.device, dtype=audio.dtype)
        found = torch.stft(audio, self.points, self.points // 4, self.points, window, return_complex=True)
        # square roots of magnitudes: quiet places count, and so do phases
        size = (found.real.square() + found.imag.square() + 1e-8).sqrt()
        seen = torch.stack([found.real, found.imag], 1) / size.sqrt().unsqueeze(1)
        return _through(seen, self.layers, self.final)


class Discriminators(nn.Module):
    """Several at once.

    Args:
        periods: of the period discriminators, in samples.
        resolutions: points of the spectral ones.
        channels: of the first layer of each.
    """

    def __init__(self, periods: Sequence[int], resolutions: Sequence[int], channels: int) -> None:
        super().__init__()
        self.all = nn.ModuleList([PeriodDiscriminator(period, channels) for period in periods])
        self.all.extend(SpectralDiscriminator(points, channels) for points in resolutions)

    def forward(self, audio: Tensor) -> list[Judged]:
        """What each of them says of waveforms [B, N]."""
        return [one(audio) for one in self.all]


def _through(seen: Tensor, layers: nn.ModuleList, final: nn.Module) -> Judged:
    features = []
    for layer in layers:
        seen = functional.leaky_relu(layer(seen), _SLOPE)
        features.append(seen)
    return final(seen).flatten(1), features
