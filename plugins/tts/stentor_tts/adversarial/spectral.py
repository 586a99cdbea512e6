"""Distances between waveforms in the time-frequency plane."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stentor_tts.mel import log_mel

_FLOOR = 1e-4


def magnitudes(audio: Tensor, points: int) -> Tensor:
    """Magnitudes [B, points // 2 + 1, T] of the short-time Fourier transform of waveforms [B, N], hop points / 4."""
    window = torch.hann_window(points, device=audio.device, dtype=audio.dtype)
    found = torch.stft(audio, points, points // 4, points, window, return_complex=True)
    return (found.real.square() + found.imag.square() + 1e-10).sqrt()


def stft_distance(made: Tensor, wanted: Tensor, resolutions: Sequence[int]) -> Tensor:
    """Multi-resolution STFT loss (Yamamoto et al., arXiv 1910.11480): spectral convergence plus log magnitudes."""
    total = made.new_zeros(())
    for points in resolutions:
        ours, theirs = magnitudes(made, points), magnitudes(wanted, points)
        size = theirs.square().sum((1, 2)).sqrt() + points * 1e-3
        converged = ((ours - theirs).square().sum((1, 2)) + 1e-12).sqrt() / size
        logs = (ours.clamp(min=_FLOOR * points).log() - theirs.clamp(min=_FLOOR * points).log()).abs().mean()
        total = total + converged.mean() + logs
    return total / len(resolutions)


def mel_distance(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of log-mel spectrograms (natural logarithm) of waveforms [B, N]."""
    return (log_mel(made) - log_mel(wanted)).abs().mean()
