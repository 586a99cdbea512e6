"""Short-time Fourier frames on the grid of `stentor_tts.mel`, and overlap-add of them that streams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts import mel

FFT = mel.WINDOW
"""Points of the transform: as many as the window has, so that a frame holds nothing beyond it."""
POINTS = FFT // 2 + 1
_BEFORE = (mel.WINDOW - mel.HOP) // 2
_HOPS = FFT // mel.HOP
_GAIN = 1.5  # what squares of Hann windows a quarter of their length apart add up to


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def window(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Periodic Hann window [FFT]."""
    return torch.hann_window(FFT, device=device, dtype=dtype)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def prior(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Matrix [POINTS, BINS] and offset [POINTS] from log-mel to the logarithm of the magnitudes under it.

    Every point takes the mean magnitude of the bands around it: the amplitude prior of FreeV (Lv et al., arXiv
    2406.08196), interpolated instead of pseudo-inverted so that it is positive and smooth.
    """
    bank = mel.filters(torch.device("cpu"), torch.float64)
    frequency = torch.linspace(0, 1, POINTS, dtype=torch.float64) * (bank.shape[1] - 1)
    low = frequency.floor().long().clamp(max=bank.shape[1] - 2)
    share = frequency - low
    weights = (bank[:, low] * (1 - share) + bank[:, low + 1] * share) / bank.amax(1, keepdim=True)
    covered = weights.sum(0)
    first, final = int(covered.nonzero()[0]), int(covered.nonzero()[-1])
    weights[0, :first], weights[-1, final + 1 :] = 1.0, 1.0
    weights = (weights / weights.sum(0)).T
    offset = -(weights @ bank.sum(1).log())
    return weights.to(device, dtype), offset.to(device, dtype)


def log_magnitudes(frames: Tensor) -> Tensor:
    """Smooth log magnitudes [B, T, POINTS] of log-mel frames [B, T, BINS]."""
    weights, offset = prior(frames.device, frames.dtype)
    return functional.linear(frames, weights, offset)


def transform(signal: Tensor) -> Tensor:
    """Spectra complex [B, T, POINTS] of the frames [B, T, FFT]."""
    return torch.fft.rfft(signal * window(signal.device, signal.dtype))


@dataclass(frozen=True)
class OverlapState:
    """Sums that frames to come still add to [B, FFT - HOP], and how many samples lie before the utterance."""

    tail: Tensor
    skip: int


class Overlap:
    """Overlap-add of spectra to samples; frame t is centred on the samples ``[t * HOP, (t + 1) * HOP)``.

    A sample is settled when all frames over it are there. The first and last 15 ms have fewer of these and fade.
    """

    delay = _BEFORE
    """Samples of the frames given that are held back."""

    @staticmethod
    def initial_state(batch: int, like: Tensor) -> OverlapState:
        return OverlapState(like.new_zeros(batch, FFT - mel.HOP), _BEFORE)

    @staticmethod
    def step(spectra: Tensor, state: OverlapState, *, last: bool) -> tuple[Tensor, OverlapState]:
        """Samples [B, n] that the next frames (complex [B, t, POINTS]) settle, and the next state."""
        count = spectra.shape[1]
        known = functional.pad(state.tail, (0, count * mel.HOP))
        if count:
            frames = torch.fft.irfft(spectra, FFT) * (window(known.device, known.dtype) / _GAIN)
            known = known + _added(frames)
        settled = count * mel.HOP + (_BEFORE if last else 0)
        skip = min(state.skip, settled)
        return known[:, skip:settled], OverlapState(known[:, count * mel.HOP :], state.skip - skip)


def _added(frames: Tensor) -> Tensor:
    """Overlap-add [B, (T + 3) * HOP] of frames [B, T, FFT]."""
    batch, count = frames.shape[:2]
    hops = frames.reshape(batch, count, _HOPS, mel.HOP)
    parts = [functional.pad(hops[:, :, at], (0, 0, at, _HOPS - 1 - at)) for at in range(_HOPS)]
    return torch.stack(parts).sum(0).reshape(batch, -1)
