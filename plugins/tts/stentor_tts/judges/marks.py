"""Short names of waveforms, by which what a slow judge said of them is found again."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def mark(wave: NDArray[np.float32], *told: str) -> str:
    """16 hexadecimal digits of a waveform float32 [N] and of what else decides a verdict on it."""
    digest = hashlib.sha256("\n".join(told).encode())
    digest.update(np.ascontiguousarray(wave, np.float32).tobytes())
    return digest.hexdigest()[:16]
