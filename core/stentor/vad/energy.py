"""Voice activity by level over a noise floor that adapts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stentor.config import ranges
from stentor.interfaces.vad import VAD, Waves

_SOFTNESS = 2.0  # dB
_QUIETEST = 1e-12


@dataclass
class _Floor:
    """Frames so far, and float64 [B] the lowest level less what the floor had risen by then (dB)."""

    count: int
    lowest: NDArray[np.float64]


class Energy(VAD):
    """Speech is what is `margin` dB louder than the noise floor, which falls at once and rises slowly.

    The floor is the running minimum of the level of the frames (minimum statistics in its simplest form, after Martin
    2001, IEEE Trans. Speech and Audio Processing 9(5)); it needs no model and takes loud noise of changing level for
    speech.

    Args:
        margin: over the floor, where speech and silence are equally likely (dB).
        rise: of the floor (dB/s).
        start: the floor before anything was heard (dB of full scale).
        lowest: the floor is never below this (dB of full scale), so that what hides in digital silence is not speech.
    """

    sample_rate = 16_000
    frame_seconds = 0.02

    def __init__(self, *, margin: float = 9.0, rise: float = 4.0, start: float = -50.0, lowest: float = -65.0) -> None:
        wanted = {"margin": (margin, ranges.above_zero(margin)), "rise": (rise, ranges.least(rise, 0))}
        ranges.refuse({**wanted, "lowest": (lowest, (lowest <= start, f"at most the start, {start:g} dB"))}, "vad.")
        self.margin, self.rise, self.start, self.lowest = margin, rise, start, lowest

    def begin(self, batch: int) -> _Floor:
        return _Floor(0, np.full(batch, self.start, np.float64))

    def judge(self, frames: Waves, inner: _Floor) -> tuple[Waves, _Floor]:
        levels = 10 * np.log10(frames.astype(np.float64).var(axis=2) + _QUIETEST)
        risen = self.rise * self.frame_seconds * (inner.count + np.arange(1, levels.shape[1] + 1))
        lows = np.minimum.accumulate(np.concatenate([inner.lowest[:, None], levels - risen], axis=1), axis=1)[:, 1:]
        over = levels - np.maximum(lows + risen, self.lowest) - self.margin
        found = 1 / (1 + np.exp(np.clip(-over / _SOFTNESS, -50, 50)))
        return found.astype(np.float32), _Floor(inner.count + levels.shape[1], lows[:, -1])
