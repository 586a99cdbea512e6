"""How far the spectrum of one waveform is from another's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stentor_tts.mel import log_mel

DECIBELS = 20 / math.log(10)
"""One natural logarithm of a magnitude (dB)."""
_RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))


def mel_distance(first: Tensor, second: Tensor) -> float:
    """Mean absolute difference of the log-mel spectrograms of two waveforms [N] at 16 kHz (dB)."""
    return float((log_mel(first) - log_mel(second)).abs().mean()) * DECIBELS


def stft_distance(first: Tensor, second: Tensor) -> float:
    """Multi-resolution STFT distance of `first` [N] from `second` [N], the reference; 0 for equal ones.

    Spectral convergence plus mean absolute difference of log magnitudes, averaged over windows of 240, 600 and 1200
    samples (Yamamoto, Song and Kim 2020, arXiv:1910.11480).
    """
    return sum(_at(first, second, *resolution) for resolution in _RESOLUTIONS) / len(_RESOLUTIONS)


def _at(first: Tensor, second: Tensor, size: int, hop: int, window: int) -> float:
    said, wanted = (_magnitudes(wave, size, hop, window) for wave in (first, second))
    convergence = torch.linalg.norm(wanted - said) / torch.linalg.norm(wanted)
    return float(convergence + (wanted.log() - said.log()).abs().mean())


def _magnitudes(wave: Tensor, size: int, hop: int, window: int) -> Tensor:
    shape = torch.hann_window(window, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(wave, size, hop, window, shape, pad_mode="constant", return_complex=True)
    return spectrum.abs().clamp(min=1e-4)
