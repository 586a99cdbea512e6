"""A voice made of another one: the same words without the vibration of the vocal folds."""

from __future__ import annotations

import numpy as np

from stentor.data.voices.derived import Derived

_WINDOW, _HOP = 0.032, 0.008  # s
_SMOOTH = 0.0014  # s: the cepstrum up to here is the vocal tract, beyond it the pitch
_TILT = 0.85
"""First difference: a whisper lacks the energy that voicing has at low frequencies."""


class Whispered(Derived):
    """Another voice whispering: noise shaped by the spectral envelopes of what the base says.

    Envelopes are cepstrally smoothed spectra (Oppenheim and Schafer 1968, "Homomorphic analysis of speech"), and their
    noise is added up frame by frame. The level of every frame stays that of the base.

    Args:
        base: the voice, as corpora name it: ``hibari``, ``espeak:en-us+f2``.
    """

    def __init__(self, *, base: str = "espeak") -> None:
        self.base = base

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        return whisper(self.of.speak(text, speed=speed), self.sample_rate)


def whisper(speech: np.ndarray, rate: int) -> np.ndarray:
    """Whispered speech float32 [N] of speech [N] at `rate` Hz; the same input gives the same noise."""
    size, hop = round(_WINDOW * rate) // 2 * 2, round(_HOP * rate)
    tilted = np.append(speech[:1], speech[1:] - np.float32(_TILT) * speech[:-1]).astype(np.float64)
    frames = _frames(np.pad(tilted, (size, size + hop)), size, hop)
    noise = np.random.default_rng(0).standard_normal((len(frames) - 1) * hop + size)
    spectra = np.fft.rfft(_frames(noise, size, hop)) * _envelopes(frames, round(_SMOOTH * rate))
    shaped = np.fft.irfft(spectra, size) * np.hanning(size + 1)[:size]
    power = np.sqrt((frames**2).sum(1) / np.maximum((shaped**2).sum(1), 1e-12))
    made = np.zeros(len(noise))
    for index, frame in enumerate(shaped * power[:, None]):
        made[index * hop : index * hop + size] += frame
    made = made[size : size + len(speech)]
    return (made * _gain(made, speech)).astype(np.float32)


def _frames(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size + 1)[:size]


def _envelopes(frames: np.ndarray, lifter: int) -> np.ndarray:
    """Smoothed magnitude spectra [frames, size // 2 + 1]."""
    cepstrum = np.fft.irfft(np.log(np.abs(np.fft.rfft(frames)) + 1e-7))
    cepstrum[:, lifter : frames.shape[1] - lifter + 1] = 0
    return np.exp(np.fft.rfft(cepstrum).real)


def _gain(made: np.ndarray, like: np.ndarray) -> float:
    """To the level of the speech, as far as no sample exceeds 0.9."""
    wanted = np.sqrt((like.astype(np.float64) ** 2).mean() / max((made**2).mean(), 1e-12)) if len(like) else 1.0
    return float(min(wanted, 0.9 / max(float(np.abs(made).max(initial=0.0)), 1e-9)))
