"""Where a waveform sounds and how loud it is, and its ends made clean; needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stentor.data.resample import Samples

FRAME_SECONDS = 0.01
"""Of the frames that levels are taken from (s)."""
_AUDIBLE, _SPEECH = 50.0, 30.0  # dB below the loudest frame
_SILENCE = 1e-12


def speech_level(samples: NDArray[Any], rate: int) -> float:
    """Level (dB of full scale) of the frames within 30 dB of the loudest one; -120 dB for silence.

    Args:
        samples: float [N].
        rate: of them (Hz).
    """
    power = _power(samples, rate)
    if not len(power):
        return -120.0
    return float(10 * np.log10(power[power >= power.max() / 10 ** (_SPEECH / 10)].mean() + _SILENCE))


def trimmed(samples: Samples, rate: int, edge: float) -> Samples:
    """Samples [n] without ends that are 50 dB below the loudest frame, but for `edge` seconds; none of silence."""
    power, frame = _power(samples, rate), round(FRAME_SECONDS * rate)
    if not power.max(initial=0.0):
        return samples[:0]
    heard = np.flatnonzero(power >= power.max() / 10 ** (_AUDIBLE / 10)) * frame
    around = round(edge * rate)
    return samples[max(0, heard[0] - around) : heard[-1] + frame + around]


def fades(length: int, rate: int, seconds: float) -> Samples:
    """Gains float32 [length] that rise from the first sample on and fall to the last, each within `seconds`."""
    ramp = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1) / (seconds * rate)
    return np.minimum(ramp, 1.0).astype(np.float32)


def _power(samples: NDArray[Any], rate: int) -> NDArray[np.float64]:
    """Mean square of each frame [T]."""
    frame = round(FRAME_SECONDS * rate)
    whole = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    return np.asarray((whole.reshape(-1, frame) ** 2).mean(1))
