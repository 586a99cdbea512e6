"""What telephones and low rates do to speech, simulated without a codec library."""

from __future__ import annotations

from typing import Literal

import numpy as np

Codec = Literal["telephone", "narrow", "coarse"]
_LOW, _HIGH = 300.0, 3400.0  # telephone band (Hz), ITU-T G.712


def apply_codec(audio: np.ndarray, rate: int, codec: Codec) -> np.ndarray:
    """Pass `audio` (float32 [N] in [-1, 1] at `rate` Hz) through a simulated `codec`; the length stays."""
    if codec == "telephone":
        return mu_law(band(audio, rate, _LOW, _HIGH), bits=8)
    if codec == "narrow":
        return mu_law(band(audio, rate, 0.0, rate / 4), bits=8)
    return mu_law(audio, bits=6)


def band(audio: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """What of `audio` lies between `low` and `high` (Hz): float32 [N]."""
    spectrum = np.fft.rfft(audio)
    frequencies = np.fft.rfftfreq(len(audio), 1 / rate)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return np.fft.irfft(spectrum, len(audio)).astype(np.float32)


def mu_law(audio: np.ndarray, *, bits: int) -> np.ndarray:
    """Quantise to `bits` with mu-law companding (ITU-T G.711, mu = 2^bits - 1): float32 [N] in [-1, 1]."""
    mu = 2**bits - 1
    squeezed = np.sign(audio) * np.log1p(mu * np.minimum(np.abs(audio), 1.0)) / np.log1p(mu)
    levels = mu // 2
    stepped = np.round(squeezed * levels) / levels
    return np.asarray(np.sign(stepped) * np.expm1(np.abs(stepped) * np.log1p(mu)) / mu, dtype=np.float32)
