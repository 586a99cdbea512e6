"""How loud speech is, and where there is some."""

from __future__ import annotations

import torch
from torch import Tensor

from stentor_tts import sounding
from stentor_tts.sounding import FRAME_SECONDS

_AUDIBLE_DB = 40.0
_SILENCE = 1e-12


def frame_levels(wave: Tensor, sample_rate: int) -> Tensor:
    """Root mean square of frames of 10 ms, float64 [T] (dB of full scale), of a waveform [N]; -120 dB for silence."""
    size = round(FRAME_SECONDS * sample_rate)
    padded = torch.nn.functional.pad(wave.double(), (0, -len(wave) % size))
    return 10 * torch.log10(padded.reshape(-1, size).square().mean(1) + _SILENCE)


def speech_level(wave: Tensor, sample_rate: int) -> float:
    """Level (dB of full scale) of the frames within 30 dB of the loudest one; -120 dB for silence."""
    return sounding.speech_level(wave.detach().cpu().numpy(), sample_rate)


def speech_seconds(wave: Tensor, sample_rate: int) -> float:
    """Time from the first to the last frame within 40 dB of the loudest (s), pauses between them included."""
    levels = frame_levels(wave, sample_rate)
    if not len(levels) or float(levels.max()) <= -90.0:
        return 0.0
    heard = torch.nonzero(levels >= levels.max() - _AUDIBLE_DB)[:, 0]
    return float(heard[-1] - heard[0] + 1) * FRAME_SECONDS
