"""Noise: coloured noise made on the spot, and mixing at a signal-to-noise ratio."""

from __future__ import annotations

from typing import Literal

import numpy as np

Colour = Literal["white", "pink", "brown"]
COLOURS: dict[Colour, float] = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Colour -> how fast the amplitude falls with frequency f: f to the power of minus this."""


def coloured_noise(samples: int, colour: Colour, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise float32 [samples] with a power spectrum of 1 (white), 1/f (pink) or 1/f^2 (brown), power 1.

    The spectrum is drawn directly (Timmer and Koenig 1995, Astronomy and Astrophysics 300, 707).
    """
    bins = samples // 2 + 1
    shape = np.maximum(np.arange(bins), 1.0) ** -COLOURS[colour]
    shape[0] = 0.0
    spectrum = shape * (rng.standard_normal(bins) + 1j * rng.standard_normal(bins))
    noise = np.fft.irfft(spectrum, samples)
    return (noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12)).astype(np.float32)


def mix(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add `noise` (float [N], repeated or cut to fit) to `speech` (float [N]) at `snr` dB of mean power.

    Silent speech or silent noise has no ratio: the speech comes back as it is.
    """
    noise = np.resize(noise, len(speech))
    powers = float(np.mean(speech.astype(np.float64) ** 2)), float(np.mean(noise.astype(np.float64) ** 2))
    if min(powers) <= 0.0:
        return speech
    gain = np.sqrt(powers[0] / powers[1] * 10 ** (-snr / 10))
    return (speech + np.float32(gain) * noise).astype(np.float32)
