"""The log-mel spectrogram that the acoustic models of this plugin make and its vocoders speak."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE = 16000
"""Of everything in this plugin (Hz)."""
HOP = 160
"""Samples between frames: 100 frames per second."""
WINDOW = 640
BINS = 80
_FFT = 1024
_FLOOR = 1e-5
_LEFT = (_FFT - HOP) // 2
FRAME_RATE = SAMPLE_RATE / HOP
LOWEST = math.log(_FLOOR)
"""Value of silence (natural logarithm)."""


def log_mel(audio: Tensor) -> Tensor:
    """Log-mel spectrogram float [..., N // HOP, BINS] of waveforms [..., N]: natural logarithm of mel magnitudes.

    Frame t is centred on the samples ``[t * HOP, (t + 1) * HOP)``; beyond the ends there is silence.
    """
    rows = audio.reshape(-1, audio.shape[-1])
    frames = rows.shape[-1] // HOP
    padded = functional.pad(rows, (_LEFT, _FFT - HOP - _LEFT))
    window = torch.hann_window(WINDOW, device=rows.device, dtype=rows.dtype)
    spectrum = torch.stft(padded, _FFT, HOP, WINDOW, window, center=False, return_complex=True).abs()[..., :frames]
    mel = filters(rows.device, rows.dtype) @ spectrum
    return mel.clamp(min=_FLOOR).log().transpose(-1, -2).reshape(*audio.shape[:-1], frames, BINS)


def of_windows(windows: Tensor) -> Tensor:
    """The same frames [..., BINS] of their windows [..., WINDOW], from 240 samples before a hop to 240 behind it."""
    shape = torch.hann_window(WINDOW, device=windows.device, dtype=windows.dtype)
    spectrum = torch.fft.rfft(windows * shape, _FFT).abs()
    return functional.linear(spectrum, filters(windows.device, windows.dtype)).clamp(min=_FLOOR).log()


def normalised(frames: Tensor) -> Tensor:
    """Log-mel frames with about zero mean and unit variance over speech: what networks are given."""
    return (frames + 5) / 3


def restored(values: Tensor) -> Tensor:
    """The log-mel frames of `normalised` values."""
    return values * 3 - 5


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def filters(device: torch.device, dtype: torch.dtype, bins: int = BINS, size: int = _FFT) -> Tensor:
    """Triangular mel filters float [bins, size // 2 + 1] (Slaney's scale and area normalisation)."""
    edges = edges_of_bins(bins)
    places = torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1, dtype=torch.float64)
    rising = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    return (torch.minimum(rising, falling).clamp(min=0) * area).to(device, dtype)


def edges_of_bins(bins: int = BINS) -> Tensor:
    """Frequencies (Hz) between which the bins rise and fall, float64 [bins + 2]: bin b is centred on edge b + 1."""
    return _hertz(torch.linspace(0, _mel(SAMPLE_RATE / 2), bins + 2, dtype=torch.float64))


def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) * 27 / math.log(6.4)


def _hertz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))
