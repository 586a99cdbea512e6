"""Crops of waveforms to train on, at levels of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def crops(audio: Tensor, lengths: Tensor, samples: int, *, tempo: float = 0.0) -> Tensor:
    """A random stretch of each row: [B, samples] of waveforms [B, N]; rows that are shorter end in silence.

    Args:
        audio: waveforms.
        lengths: valid samples of each row [B].
        samples: of a crop.
        tempo: each crop is played up to this much faster or slower (a share, 0 to less than 1), so that voices have
            many pitches; band-limited, through the Fourier transform.
    """
    rows = zip(audio, lengths.tolist(), _factors(len(audio), tempo), strict=True)
    return torch.stack([_crop(row[:length], samples, round(samples * factor)) for row, length, factor in rows])


def _factors(rows: int, tempo: float) -> list[float]:
    drawn = (2 * torch.rand(rows) - 1) * math.log1p(tempo)
    return drawn.exp().tolist() if tempo else [1.0] * rows


def _crop(audio: Tensor, samples: int, stretch: int) -> Tensor:
    """A random stretch of `stretch` samples, played in the time of `samples`."""
    start = int(torch.rand(()) * (max(0, len(audio) - stretch) + 1))
    found = audio[start : start + stretch]
    found = functional.pad(found, (0, stretch - len(found)))
    if stretch == samples:
        return found
    spectrum = torch.fft.rfft(found)[: samples // 2 + 1]
    return torch.fft.irfft(spectrum, samples) * (samples / stretch)


def varied(audio: Tensor, most: float) -> Tensor:
    """Waveforms [B, N], each louder or softer by up to `most` (dB) and never clipped: level carries meaning."""
    gain = 10 ** ((2 * torch.rand(len(audio), 1, device=audio.device, dtype=audio.dtype) - 1) * most / 20)
    peak = audio.abs().amax(1, keepdim=True).clamp(min=1e-4)
    return audio * torch.minimum(gain, 0.95 / peak)


def noisy(audio: Tensor, share: float) -> Tensor:
    """Waveforms [B, N], a share of them with noise from white to pink, 5 to 40 dB below: a room, a breathy voice."""
    count = audio.shape[-1] // 2 + 1
    place = torch.arange(1, count + 1, device=audio.device, dtype=audio.dtype)
    tilt = torch.rand(len(audio), 1, device=audio.device, dtype=audio.dtype) / 2
    noise = torch.fft.irfft(torch.fft.rfft(torch.randn_like(audio)) * place**-tilt, audio.shape[-1])
    below = 10 ** (-(5 + 35 * torch.rand(len(audio), 1, device=audio.device, dtype=audio.dtype)) / 20)
    level = audio.std(-1, keepdim=True) / noise.std(-1, keepdim=True).clamp(min=1e-9)
    chosen = torch.rand(len(audio), 1, device=audio.device) < share
    return audio + noise * level * below * chosen
