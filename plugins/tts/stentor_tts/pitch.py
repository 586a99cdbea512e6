"""Fundamental frequency: a tracker that targets are made with, and the grid on which networks tell it."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts.mel import HOP, SAMPLE_RATE, edges_of_bins

LOWEST, HIGHEST = 55.0, 550.0  # Hz
STEPS = 120
"""Pitches on the grid, in equal ratios (2 % each)."""
_WINDOW, _FFT = 1024, 2048
_CLEAR = 1300.0  # Hz: below this, bins are fine enough to tell harmonics apart
_ENVELOPE = 9
"""Bins over which the envelope is averaged that harmonics stand out of."""
_SHORT = SAMPLE_RATE // int(HIGHEST)
_LONG = SAMPLE_RATE // int(LOWEST) + 1


@torch.no_grad()
def track(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Pitch [B, T] (Hz) and voicing [B, T] in [0, 1] of the frames of waveforms [B, N], on the grid of log-mel frames.

    The peak of the autocorrelation over its window's own (Boersma, 1993), with a preference for high pitches against
    octave errors, over a window of 64 ms.
    """
    frames = audio.shape[-1] // HOP
    before = (_WINDOW - HOP) // 2
    padded = functional.pad(audio, (before, _WINDOW))
    windows = padded.unfold(-1, _WINDOW, HOP)[:, :frames]
    shape = torch.hann_window(_WINDOW, device=audio.device, dtype=audio.dtype)
    windows = (windows - windows.mean(-1, keepdim=True)) * shape
    clear = _autocorrelation(windows) / _autocorrelation(shape)[: _LONG + 2]
    power = clear[..., :1].clamp(min=1e-9)
    lags = torch.arange(_LONG + 2, device=audio.device, dtype=audio.dtype)
    strength = clear / power
    peaks = functional.pad(functional.max_pool1d(strength, 3, 1), (1, 1)) <= strength
    wanted = strength - 0.06 * torch.log2((lags + 1) * LOWEST / SAMPLE_RATE + 1e-9)
    wanted = wanted.masked_fill(~peaks | (lags < _SHORT) | (lags > _LONG), -1e9)
    best = wanted.argmax(-1, keepdim=True)
    left, top, right = (strength.gather(-1, (best + shift).clamp(0, _LONG + 1)) for shift in (-1, 0, 1))
    bend = (left - 2 * top + right).clamp(max=-1e-6)
    lag = best + (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
    loud = (power > 1e-3 * power.amax(-2, keepdim=True)).to(audio.dtype)
    voicing = ((top - 0.3) / 0.3).clamp(0, 1) * loud
    return (SAMPLE_RATE / lag).squeeze(-1).clamp(LOWEST, HIGHEST), voicing.squeeze(-1)


def _autocorrelation(windows: Tensor) -> Tensor:
    found = torch.fft.irfft(torch.fft.rfft(windows, _FFT).abs().square())
    return found[..., : _LONG + 2] / found[..., :1].clamp(min=1e-9) if windows.ndim == 1 else found[..., : _LONG + 2]


def evidence(frames: Tensor) -> Tensor:
    """How well the harmonics of each pitch of the grid [..., STEPS] fit log-mel frames [..., BINS].

    The mean of a cosine with peaks at the harmonics over the lower bins, less their envelope. It needs no training, so
    it holds for voices that no network has heard; where harmonics are blurred, it takes a network to make sense of it.
    """
    comb = _comb(frames.device, frames.dtype)
    return functional.linear(frames[..., : comb.shape[1]], comb)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def _comb(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Matrix [STEPS, bins] of `evidence`."""
    centres = edges_of_bins()[1:-1]
    clear = int((centres < _CLEAR).sum())
    place = torch.arange(clear)
    near = (place[:, None] + torch.arange(-(_ENVELOPE // 2), _ENVELOPE // 2 + 1)).clamp(min=0)
    flat = torch.zeros(clear, clear + _ENVELOPE // 2, dtype=torch.float64)
    flat.scatter_add_(1, near, torch.full(near.shape, -1 / _ENVELOPE, dtype=torch.float64))
    flat[place, place] += 1
    hertz = LOWEST * torch.exp(torch.linspace(0, 1, STEPS, dtype=torch.float64) * math.log(HIGHEST / LOWEST))
    waves = torch.cos(2 * torch.pi * centres[:clear] / hertz[:, None])
    return ((waves - waves.mean(1, keepdim=True)) @ flat / clear).to(device, dtype)


def targets(pitch: Tensor) -> Tensor:
    """Distribution [..., STEPS] over the grid for pitches [...] (Hz): a bump over the nearest steps."""
    place = torch.log(pitch / LOWEST) / math.log(HIGHEST / LOWEST) * (STEPS - 1)
    apart = torch.arange(STEPS, device=pitch.device, dtype=pitch.dtype) - place[..., None]
    return torch.softmax(-0.5 * apart.square(), -1)


def mean(logits: Tensor) -> Tensor:
    """Pitch float64 [...] (Hz) that logits [..., STEPS] tell: the mean of the steps around the most likely one.

    In double precision, since phases add up what it is off by.
    """
    best = logits.argmax(-1, keepdim=True)
    place = torch.arange(STEPS, device=logits.device)
    far = (place - best).abs() > 3
    weights = torch.softmax(logits.double().masked_fill(far, -1e9), -1)
    return LOWEST * torch.exp((weights * place).sum(-1) * (math.log(HIGHEST / LOWEST) / (STEPS - 1)))
