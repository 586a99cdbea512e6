"""The two sources of a harmonic-plus-noise vocoder, sample by sample and without memory beyond a phase."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stentor_tts.mel import HOP, SAMPLE_RATE

_PULSES = 1 / 8000
"""Amplitude over pitch (1 / Hz) at which harmonics have a mean magnitude of about 1 in `stentor_tts.overlap`."""
_NOISE = 1 / 13.7
"""Standard deviation at which white noise has about the mean magnitude 1 there."""


@dataclass(frozen=True)
class ExcitationState:
    """Of the last frame: pitch float64 [B] (Hz), voicing [B] and phase float64 [B] (cycles)."""

    pitch: Tensor
    voicing: Tensor
    phase: Tensor


def initial_state(batch: int, like: Tensor) -> ExcitationState:
    """Of `batch` new streams."""
    nothing = like.new_zeros(batch)
    return ExcitationState(nothing.double() + 100.0, nothing, nothing.double())


def pulses(pitch: Tensor, voicing: Tensor, state: ExcitationState) -> tuple[Tensor, ExcitationState]:
    """Band-limited pulses [B, t * HOP] of frames of pitch float64 [B, t] (Hz) and voicing [B, t], and the next state.

    All harmonics below half the sample rate have zero phase and equal amplitude, in closed form (Dirichlet's kernel).
    """
    hertz = _ramps(pitch, state.pitch)
    turn = (state.phase[:, None] + (hertz / SAMPLE_RATE).cumsum(1)).frac()
    half, count = torch.pi * turn, (SAMPLE_RATE / 2 / hertz).floor()
    under = half.sin()
    kernel = torch.where(under < 1e-6, count, ((2 * count + 1) * half).sin() / (2 * under.clamp(min=1e-6)) - 0.5)
    made = (hertz * _PULSES * kernel).to(voicing.dtype) * _ramps(voicing, state.voicing)
    return made, ExcitationState(pitch[:, -1], voicing[:, -1], turn[:, -1])


def noise(start: int, samples: int, like: Tensor) -> Tensor:
    """White noise [samples] that is a function of the position alone (samples since the stream began)."""
    number = torch.arange(start, start + samples, device=like.device, dtype=torch.int64)
    for factor, shift in ((0x9E3779B97F4A7C1, 15), (0xBF58476D1CE4E5B, 13), (0x94D049BB133111E, 16)):
        number = (number + 1) * factor
        number = number ^ ((number >> shift) & ((1 << (64 - shift)) - 1))
    uniform = (number >> 11 & 0xFFFFFF).to(like.dtype) / 0xFFFFFF - 0.5
    return uniform * (_NOISE * 12**0.5)


def _ramps(frames: Tensor, before: Tensor) -> Tensor:
    """Values [B, t * HOP] that run in a straight line from frame to frame [B, t], from `before` [B] on."""
    earlier = torch.cat([before[:, None], frames[:, :-1]], 1)
    share = torch.arange(1, HOP + 1, device=frames.device, dtype=frames.dtype) / HOP
    return torch.lerp(earlier[..., None], frames[..., None], share).flatten(1)
