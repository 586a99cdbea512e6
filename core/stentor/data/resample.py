"""Sample rate conversion: a Kaiser-windowed sinc in polyphase form, on numpy, whole or block by block.

Method: J. O. Smith, "Digital Audio Resampling", and J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh
window function" (1974). The stop band begins at the lower Nyquist frequency, so nothing above it aliases.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_ZERO_CROSSINGS = 48
_ROLLOFF = 0.945
_BETA = 8.5
_ROWS = 4096
_SINGLE_THREADED = 1 << 18
"""OpenBLAS keeps a product of at most this many multiplications on one thread."""


class Resampler:
    """Converts a stream; the output does not depend on how the stream is cut into blocks.

    Output sample n lies at input time ``n * source / target``; N input samples give ``ceil(N * target / source)``.
    """

    def __init__(self, source: int, target: int) -> None:
        divisor = math.gcd(source, target)
        self.down, self.up = source // divisor, target // divisor
        self.half, self.outputs, self._banks = _filters(self.down, self.up)
        self._advance = self.outputs * self.down // self.up
        self._pending: Samples = np.zeros(self.half, dtype=np.float32)
        self._received = self._given = 0

    def push(self, samples: Samples) -> Samples:
        """Take the next samples [n]; give what can be computed so far [m]."""
        if self.down == self.up:
            return samples
        self._received += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        rows = max(0, (len(self._pending) - self._advance - 2 * self.half) // self._advance)
        return self._emit(rows)

    def flush(self) -> Samples:
        """End the stream: give what is left [m]."""
        if self.down == self.up:
            return np.zeros(0, dtype=np.float32)
        left = -(-self._received * self.up // self.down) - self._given
        rows = -(-left // self.outputs)
        missing = (rows + 1) * self._advance + 2 * self.half - len(self._pending)
        self._pending = np.concatenate([self._pending, np.zeros(max(0, missing), dtype=np.float32)])
        return self._emit(rows)[:left]

    def _emit(self, rows: int) -> Samples:
        """Filter `rows` periods of `outputs` samples each, in bounded memory."""
        output = np.empty((rows, self.outputs), dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view
        for first in range(0, rows, _ROWS):
            last = min(first + _ROWS, rows)
            for begin, column, bank in self._banks:
                part = self._pending[first * self._advance + begin :]
                frames = windows(part, bank.shape[0])[: (last - first - 1) * self._advance + 1 : self._advance]
                output[first:last, column : column + bank.shape[1]] = _product(np.ascontiguousarray(frames), bank)
        self._pending = self._pending[rows * self._advance :]
        self._given += output.size
        return output.reshape(-1)


def resample(samples: Samples, source: int, target: int) -> Samples:
    """Convert mono `samples` float32 [N] from `source` to `target` Hz: float32 [ceil(N * target / source)]."""
    if source == target:
        return samples
    stream = Resampler(source, target)
    return np.concatenate([stream.push(samples), stream.flush()])


def _product(frames: Samples, bank: Samples) -> Samples:
    """``frames @ bank`` in pieces too small for BLAS to share among threads, which costs more than it brings here."""
    height = max(1, _SINGLE_THREADED // bank.size)
    whole = len(frames) // height * height
    pieces = frames[:whole].reshape(-1, height, frames.shape[1]) @ bank
    return np.concatenate([pieces.reshape(whole, bank.shape[1]), frames[whole:] @ bank])


@lru_cache(maxsize=16)
def _filters(down: int, up: int) -> tuple[int, int, list[tuple[int, int, Samples]]]:
    """Filter banks that each turn one stretch of input into several neighbouring outputs by a matrix product.

    Returns:
        Half the filter length (input samples), outputs per period, and the banks: (first input, first output,
        weights [inputs, outputs]). A bank spans about twice the filter, so that most of its weights are not zero.
    """
    scale = min(1.0, up / down)
    half = math.ceil(_ZERO_CROSSINGS / scale)
    outputs = up * max(1, round(2 * half / down))
    width = min(outputs, max(1, 2 * half * up // down))
    banks = []
    for column in range(0, outputs, width):
        count = min(width, outputs - column)
        begin = column * down // up
        inputs = 2 * half + 1 + (column + count - 1) * down // up - begin
        # The pending buffer begins `half` before the input: output n is centred on its entry n * down / up + half.
        centre = (column + np.arange(count)) * (down / up) + half
        banks.append((begin, column, _weights(begin + np.arange(inputs)[:, None] - centre, scale, half)))
    return half, outputs, banks


def _weights(distance: NDArray[np.float64], scale: float, half: int) -> Samples:
    """Windowed sinc at `distance` (input samples); every output's weights sum to one, so that levels stay."""
    inside = np.clip(1.0 - (distance / half) ** 2, 0.0, None)
    window = np.i0(_BETA * np.sqrt(inside)) * (np.abs(distance) <= half)
    weights = np.sinc(distance * scale * _ROLLOFF) * window
    return np.ascontiguousarray((weights / weights.sum(axis=0)).astype(np.float32))
