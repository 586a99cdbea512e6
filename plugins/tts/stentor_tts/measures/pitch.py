"""Fundamental frequency by YIN (de Cheveigné and Kawahara 2002), all frames at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

HOP_SECONDS = 0.01
"""Between frames (s)."""
_LOWEST, _HIGHEST = 60.0, 500.0
_WINDOW_SECONDS = 0.04
_GOOD, _VOICED = 0.12, 0.3
_QUIET_DB = 35.0


@dataclass(frozen=True)
class Pitch:
    """The pitch of an utterance, a frame every 10 ms.

    Attributes:
        hertz: float64 [T], the fundamental frequency (Hz), a guess where a frame is not voiced.
        voiced: bool [T].
    """

    hertz: Tensor
    voiced: Tensor

    @property
    def median(self) -> float:
        """Of the voiced frames (Hz); NaN where there are none."""
        return float(self.hertz[self.voiced].median()) if bool(self.voiced.any()) else math.nan


def pitch(wave: Tensor, sample_rate: int) -> Pitch:
    """Pitch between 60 and 500 Hz of a waveform [N] at `sample_rate` (Hz).

    A frame is voiced where its cumulative mean normalised difference falls below 0.3 and it is within 35 dB of the
    loudest frame. The lag taken is the first dip below 0.12, else the deepest one, refined by a parabola.
    """
    if not len(wave):
        return Pitch(torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.bool))
    window, longest = round(_WINDOW_SECONDS * sample_rate), math.ceil(sample_rate / _LOWEST) + 2
    frames = _frames(wave.double(), window + longest, round(HOP_SECONDS * sample_rate))
    difference = _difference(frames, window, longest)
    lags = torch.arange(longest + 1, dtype=torch.float64)
    normal = difference * lags / difference.cumsum(1).clamp(min=1e-12)
    normal[:, 0] = 1.0
    lag = _dips(normal, int(sample_rate / _HIGHEST))
    depth = normal.gather(1, lag[:, None])[:, 0]
    power = frames[:, :window].square().mean(1)
    loud = power > power.max().clamp(min=1e-10) * 10 ** (-_QUIET_DB / 10)
    return Pitch(sample_rate / _refined(normal, lag), (depth < _VOICED) & loud)


def semitones(hertz: float, other: float) -> float:
    """How far `hertz` lies above `other` (semitones)."""
    return 12 * math.log2(hertz / other)


def _frames(wave: Tensor, size: int, hop: int) -> Tensor:
    """Frames [T, size] of a waveform [N]: T = N / hop, rounded up; beyond the end there is silence."""
    count = math.ceil(len(wave) / hop)
    padded = torch.nn.functional.pad(wave, (0, size + hop))
    return padded.unfold(0, size, hop)[:count]


def _difference(frames: Tensor, window: int, longest: int) -> Tensor:
    """Squared difference [T, longest + 1] of each frame's first `window` samples to those at every lag."""
    size = 1 << (frames.shape[1] + window).bit_length()
    spectrum, head = torch.fft.rfft(frames, size), torch.fft.rfft(frames[:, :window], size)
    product = torch.fft.irfft(spectrum * head.conj(), size)[:, : longest + 1]
    energy = torch.nn.functional.pad(frames.square().cumsum(1), (1, 0))
    powers = energy[:, window : window + longest + 1] - energy[:, : longest + 1]
    return (powers[:, :1] + powers - 2 * product).clamp(min=0)


def _dips(normal: Tensor, shortest: int) -> Tensor:
    """The chosen lag [T] (samples) in normalised differences [T, L]."""
    inside = normal[:, shortest:-1]
    turns = (inside <= normal[:, shortest + 1 :]) & (inside <= normal[:, shortest - 1 : -2])
    good = turns & (inside < _GOOD)
    first = good.int().argmax(1)
    deepest = torch.where(turns, inside, torch.inf).argmin(1)
    return torch.where(good.any(1), first, deepest) + shortest


def _refined(normal: Tensor, lag: Tensor) -> Tensor:
    """Lags [T] between samples: the lowest point of the parabola through each dip and its neighbours."""
    left, middle, right = (normal.gather(1, (lag + step)[:, None])[:, 0] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = torch.where(bend.abs() > 1e-12, (left - right) / (2 * bend.clamp(min=1e-12)), torch.zeros_like(bend))
    return lag + shift.clamp(-0.5, 0.5)
