"""HiFi-GAN: transposed convolutions from frames to samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor_tts.interfaces import Vocoder
from stentor_tts.mel import BINS, HOP, normalised
from stentor_tts.vocoders.trained import fill

_SLOPE = 0.1
_DILATIONS = (1, 3, 5)


@dataclass(frozen=True)
class HiFiGANState:
    """The last log-mel frames [B, t, BINS], and how many at their end have no sound yet."""

    frames: Tensor
    waiting: int


class HiFiGAN(Vocoder):
    """The generator of HiFi-GAN (Kong et al., arXiv 2010.05646). A choice for accelerators: on CPUs Vocos is faster.

    A stream computes every frame with as many frames around it as the generator sees, so that it gives what the whole
    utterance gives, at a price where blocks are short.

    Args:
        channels: before the first transposed convolution, halved by each.
        rates: of the transposed convolutions; their product is the hop, 160 samples.
        kernels: of the residual blocks.
        run: folder of a run whose trained vocoder it shall be; empty: it is trained here.
    """

    capabilities = frozenset({"streaming"})

    def __init__(
        self,
        *,
        channels: int = 256,
        rates: tuple[int, ...] = (5, 4, 4, 2),
        kernels: tuple[int, ...] = (3, 7, 11),
        run: str = "",
    ) -> None:
        super().__init__()
        _check(channels, rates, kernels)
        self.trained_by, self.radius = run, _radius(rates, max(kernels))
        self.first = nn.Conv1d(BINS, channels, 7, padding=3)
        self.stages = nn.ModuleList()
        for rate in rates:
            self.stages.append(_Stage(channels, rate, kernels))
            channels //= 2
        self.final = nn.Conv1d(channels, 1, 7, padding=3)

    def load_pretrained(self) -> dict[str, str]:
        return fill(self, self.trained_by, "vocoder")

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        if int(lengths.min()) >= mel.shape[1]:
            return self._samples(mel)
        made = mel.new_zeros(len(mel), mel.shape[1] * HOP)
        for row, count in enumerate(lengths.tolist()):
            if count:
                made[row, : count * HOP] = self._samples(mel[row : row + 1, :count])[0]
        return made

    def initial_state(self, batch: int) -> HiFiGANState:
        return HiFiGANState(self.first.weight.new_zeros(batch, 0, BINS), 0)

    def step(self, mel: Tensor, state: HiFiGANState, *, last: bool = False) -> tuple[Tensor, HiFiGANState]:
        known = torch.cat([state.frames, mel], 1)
        waiting = state.waiting + mel.shape[1]
        due = waiting if last else max(0, waiting - self.radius)
        first = known.shape[1] - waiting
        made = known.new_zeros(len(known), 0)
        if due:
            made = self._samples(known)[:, first * HOP : (first + due) * HOP]
        kept = max(0, first + due - self.radius)
        return made, HiFiGANState(known[:, kept:], waiting - due)

    def _samples(self, frames: Tensor) -> Tensor:
        made = self.first(normalised(frames).transpose(1, 2))
        for stage in self.stages:
            made = stage(made)
        return self.final(functional.leaky_relu(made)).tanh().squeeze(1)


class _Stage(nn.Module):
    """One transposed convolution and the mean of its residual blocks (multi-receptive field fusion)."""

    def __init__(self, channels: int, rate: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        width = 2 * rate + rate % 2
        self.rise = nn.ConvTranspose1d(channels, channels // 2, width, rate, padding=(width - rate) // 2)
        self.blocks = nn.ModuleList(_Residual(channels // 2, kernel) for kernel in kernels)

    def forward(self, signal: Tensor) -> Tensor:
        risen = self.rise(functional.leaky_relu(signal, _SLOPE))
        return torch.stack([block(risen) for block in self.blocks]).mean(0)


class _Residual(nn.Module):
    """Dilated and plain convolutions in turn, each pair with a way around it."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.wide = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=one, padding=kernel // 2 * one) for one in _DILATIONS
        )
        self.plain = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in _DILATIONS)

    def forward(self, signal: Tensor) -> Tensor:
        for wide, plain in zip(self.wide, self.plain, strict=True):
            inner = functional.leaky_relu(wide(functional.leaky_relu(signal, _SLOPE)), _SLOPE)
            signal = signal + plain(inner)
        return signal


def _radius(rates: tuple[int, ...], kernel: int) -> int:
    """Frames on either side of a frame that its samples depend on."""
    seen = 3
    for rate in reversed(rates):
        seen += kernel // 2 * (sum(_DILATIONS) + len(_DILATIONS))
        seen = math.ceil((seen + 2 * rate) / rate)
    return seen + 3


def _check(channels: int, rates: tuple[int, ...], kernels: tuple[int, ...]) -> None:
    if math.prod(rates) != HOP:
        raise StentorError(f"their product must be the hop, {HOP}, not {math.prod(rates)}.", path="rates", value=rates)
    if channels % 2 ** len(rates):
        raise StentorError(f"it must be a multiple of {2 ** len(rates)}: every stage halves it.",
                           path="channels", value=channels)  # fmt: skip
    even = [kernel for kernel in kernels if kernel % 2 == 0]
    if even or not kernels:
        raise StentorError("they must be odd numbers, at least one.", path="kernels", value=kernels)
