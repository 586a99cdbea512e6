"""Level and pitch of short frames, each from the samples around it alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts.mel import HOP, SAMPLE_RATE

QUIETEST = -60.0
"""Level that counts as silence (dB below full scale)."""
LOWEST, HIGHEST = 60.0, 500.0
"""Range in which a pitch is looked for (Hz)."""
_RATE = SAMPLE_RATE // 2
_WINDOW = 200
_FIRST, _LAST = int(_RATE / HIGHEST), int(_RATE / LOWEST) + 2
_SPAN = _WINDOW + _LAST
_DIP = 0.2
_VOICED = 0.25
_TINY = 1e-10


def level(audio: Tensor, samples: int) -> Tensor:
    """Mean power float [N // samples] of stretches of `samples` of a waveform [N] (dB), no less than `QUIETEST`."""
    frames = audio[: len(audio) // samples * samples].reshape(-1, samples)
    power = frames.pow(2).mean(-1)
    return (10 * (power + _TINY).log10()).clamp(min=QUIETEST)


class Pitch(NamedTuple):
    """Of T frames.

    Attributes:
        hertz: float [T], the fundamental frequency; what is found where there is none means nothing.
        voiced: bool [T], whether the frame repeats itself.
    """

    hertz: Tensor
    voiced: Tensor


def pitch(audio: Tensor) -> Pitch:
    """Fundamental frequency of a waveform [N], a frame every 10 ms, by YIN (de Cheveigne and Kawahara 2002, JASA).

    Works at 8 kHz on windows of 25 ms: the first dip of the normalised difference below a threshold, else the deepest.
    """
    frames = _frames(audio)
    unlike = _unlike(frames)
    inner, lags = unlike[:, 1:-1], torch.arange(1, _LAST, device=audio.device)
    dips = (inner <= unlike[:, :-2]) & (inner < unlike[:, 2:]) & (lags >= _FIRST)
    deep = dips & (inner < _DIP)
    first = torch.where(deep, lags, _LAST).amin(-1)
    deepest = torch.where(dips, inner, torch.inf).argmin(-1) + 1
    lag = torch.where(deep.any(-1), first, deepest)
    before, at, after = (unlike.gather(1, (lag + step)[:, None])[:, 0] for step in (-1, 0, 1))
    shift = ((before - after) / (2 * (before - 2 * at + after)).clamp(min=_TINY)).clamp(-0.5, 0.5)
    return Pitch(_RATE / (lag + shift), at < _VOICED)


def _frames(audio: Tensor) -> Tensor:
    """Frames [N // HOP, _SPAN] at 8 kHz around every 10 ms, without their means; silence beyond the ends."""
    count, hop = len(audio) // HOP, HOP // 2
    halved = functional.avg_pool1d(functional.pad(audio, (0, 1))[None], 2)[0]
    left = (_SPAN - hop) // 2
    frames = functional.pad(halved, (left, _SPAN)).unfold(0, _SPAN, hop)[:count]
    return frames - frames.mean(-1, keepdim=True)


def _unlike(frames: Tensor) -> Tensor:
    """Cumulative mean normalised difference [T, _LAST + 1] of frames to themselves, lag by lag."""
    size = 1 << (_SPAN + _WINDOW - 1).bit_length()
    spectrum = torch.fft.rfft(frames[:, :_WINDOW], size).conj() * torch.fft.rfft(frames, size)
    alike = torch.fft.irfft(spectrum, size)[:, : _LAST + 1]
    sums = functional.pad(frames.square().cumsum(-1), (1, 0))
    energy = sums[:, _WINDOW : _WINDOW + _LAST + 1] - sums[:, : _LAST + 1]
    difference = (energy[:, :1] + energy - 2 * alike).clamp(min=0)[:, 1:]
    lags = torch.arange(1, _LAST + 1, device=frames.device)
    mean = difference.cumsum(-1) / lags
    faint = _TINY * _WINDOW
    normal = (difference + faint) / (mean + faint)
    return functional.pad(normal, (1, 0), value=1.0)
