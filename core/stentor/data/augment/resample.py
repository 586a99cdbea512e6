"""Band-limited resampling of whole utterances."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def resample(audio: np.ndarray, source: int, target: int) -> np.ndarray:
    """Resample by cutting or padding the spectrum of the whole utterance, an exact band-limited interpolation.

    Args:
        audio: float [N] at `source` Hz.
        source: sample rate of `audio` (Hz).
        target: sample rate wanted (Hz).

    Returns:
        float32 [ceil(N * target / source)].
    """
    if source == target or len(audio) == 0:
        return audio.astype(np.float32, copy=False)
    ratio = Fraction(target, source)
    # One block more than needed: the transform is circular, and the silence keeps the end from leaking into the start.
    blocks = -(-len(audio) // ratio.denominator) + -(-256 // ratio.denominator)
    old, new = blocks * ratio.denominator, blocks * ratio.numerator
    spectrum = np.fft.rfft(audio.astype(np.float64), old)[: new // 2 + 1]
    wanted = -(-len(audio) * ratio.numerator // ratio.denominator)
    return (np.fft.irfft(spectrum, new)[:wanted] * (new / old)).astype(np.float32)
