"""Word times drawn to where the sound is: attention is coarse, and gives a pause to one of the words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stentor_asr.transcribe.recogniser import Word

_FRAME = 0.01  # s
_QUIET_DB, _AUDIBLE_DB = 25.0, 12.0
"""A pause is this far below the softer one of the words around it; in noise less, but not less than the second."""
_OVER_NOISE_DB = 6.0
_SHORTEST = 0.08
"""A shorter gap between two words may be the closure of a consonant (s)."""
_SMOOTH = 5  # frames
_REACH = 0.3
"""A pause lies at most this far from where the words meet (s)."""


def drawn(words: Sequence[Word], samples: np.ndarray, sample_rate: int) -> tuple[Word, ...]:
    """The words with their ends at the pauses between them, and at the silence around them.

    Args:
        words: in order, not overlapping.
        samples: mono float32 [N] from the time 0 of the words on.
        sample_rate: (Hz).
    """
    levels = _levels(samples, sample_rate)
    if not words or len(levels) < _SMOOTH:
        return tuple(words)
    starts, ends = [word.start for word in words], [word.end for word in words]
    limits = _limits(words, levels)
    middle = [0.0, *((word.start + word.end) / 2 for word in words), len(levels) * _FRAME]
    for index, limit in enumerate(limits):
        before, after = index - 1, index
        first, last = middle[index], middle[index + 1]
        if 0 < index < len(words):
            first, last = max(first, ends[before] - _REACH), min(last, starts[after] + _REACH)
        pause = _longest(levels, first, last, limit)
        if index == 0:
            starts[0] = pause[1] if pause[0] <= _FRAME < pause[1] else starts[0]
        elif index == len(words):
            ends[-1] = pause[0] if pause[1] >= last - _FRAME > pause[0] else ends[-1]
        else:
            ends[before], starts[after] = _joined(pause, (ends[before], starts[after]))
    return tuple(replace(word, start=a, end=max(a, b)) for word, a, b in zip(words, starts, ends, strict=True))


def _joined(pause: tuple[float, float], gap: tuple[float, float]) -> tuple[float, float]:
    """What lies between two words, from a pause in the sound and the gap that was there."""
    if pause[1] - pause[0] < _SHORTEST:
        return gap
    if pause[0] <= gap[1] and gap[0] <= pause[1]:
        return min(pause[0], gap[0]), max(pause[1], gap[1])
    return max(pause, gap, key=lambda one: one[1] - one[0])


def _limits(words: Sequence[Word], levels: np.ndarray) -> list[float]:
    """Below which level it is quiet, before each word and after the last (dB)."""
    noise = float(np.percentile(levels, 5)) + _OVER_NOISE_DB
    peaks = [_loudest(levels, word.start, word.end) for word in words]
    softer = [min(pair) for pair in zip([peaks[0], *peaks], [*peaks, peaks[-1]], strict=True)]
    return [min(max(peak - _QUIET_DB, noise), peak - _AUDIBLE_DB) for peak in softer]


def _levels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Of frames of 10 ms (dB) [N / frame]; what is loud for an instant alone does not end a pause."""
    size = round(_FRAME * sample_rate)
    squares = np.square(samples[: len(samples) // size * size], dtype=np.float64).reshape(-1, size).mean(1)
    levels = 10 * np.log10(squares + 1e-12)
    if len(levels) < _SMOOTH:
        return levels
    return np.median(np.lib.stride_tricks.sliding_window_view(np.pad(levels, _SMOOTH // 2, "edge"), _SMOOTH), axis=1)


def _loudest(levels: np.ndarray, start: float, end: float) -> float:
    first = min(round(start / _FRAME), len(levels) - 1)
    return float(levels[first : max(round(end / _FRAME), first + 1)].max())


def _longest(levels: np.ndarray, first: float, last: float, limit: float) -> tuple[float, float]:
    """The longest quiet stretch between two times (s); an empty one at the first where there is none."""
    begin = round(first / _FRAME)
    quiet = levels[begin : round(last / _FRAME)] < limit
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    if not len(edges):
        return first, first
    runs = edges.reshape(-1, 2)
    start, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return float(begin + start) * _FRAME, float(begin + end) * _FRAME
