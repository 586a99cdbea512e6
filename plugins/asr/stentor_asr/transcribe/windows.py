"""Cuts audio of any length into windows at quiet points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

SILENCE_DB = -60.0
"""A window whose loudest 20 ms are below this level (dB of full scale) is silent."""
_FRAME_SECONDS = 0.02
_SMOOTHING_FRAMES = 10


@dataclass(frozen=True)
class Window:
    """A stretch of audio: its beginning in the file (s) and mono float32 samples [N]."""

    start: float
    samples: np.ndarray


def cut(blocks: Iterable[np.ndarray], sample_rate: int, longest: float) -> Iterator[Window]:
    """Join blocks and cut them into windows of at most `longest` seconds.

    A cut lies in the last third of a full window, in the middle of the quietest 0.2 s there, so that it does not split
    a word. At most one window and one block are held.

    Args:
        blocks: mono float32 [N] each, in order.
        sample_rate: (Hz).
        longest: (s).
    """
    most, start = round(longest * sample_rate), 0
    held = np.zeros(0, dtype=np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > most:
            at = _quietest(held[:most], sample_rate)
            yield Window(start / sample_rate, held[:at])
            held, start = held[at:], start + at
    if len(held):
        yield Window(start / sample_rate, held)


def is_silent(samples: np.ndarray, sample_rate: int) -> bool:
    """Whether even the loudest 20 ms are below `SILENCE_DB`."""
    loudest = float(np.sqrt(_powers(samples, sample_rate).max(initial=0.0)))
    return loudest < 10 ** (SILENCE_DB / 20)


def _powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms [ceil(N / frame)]; the last one may be shorter."""
    edges = np.arange(0, len(samples), round(_FRAME_SECONDS * sample_rate))
    squares = np.square(samples, dtype=np.float64)
    return np.add.reduceat(squares, edges) / np.diff(edges, append=len(samples)) if len(edges) else np.zeros(0)


def _quietest(samples: np.ndarray, sample_rate: int) -> int:
    frame, powers = round(_FRAME_SECONDS * sample_rate), _powers(samples, sample_rate)
    smooth = np.convolve(powers, np.full(_SMOOTHING_FRAMES, 1 / _SMOOTHING_FRAMES), mode="valid")
    first = 2 * len(smooth) // 3
    quietest = first + int(np.argmin(smooth[first:]))
    return min(len(samples), (quietest + _SMOOTHING_FRAMES // 2) * frame)
