"""Spectrograms as PNG images, with numpy and zlib alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_WINDOW, _HOP = 0.025, 0.010
_RANGE_DB = 70.0
_ROWS, _MOST_COLUMNS = 128, 1600
_STOPS = [(10, 8, 26), (58, 15, 110), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)]


def levels(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Power in dB below the loudest bin, [frequency, time], from 0 Hz upwards.

    Short-time Fourier transform, Hann window of 25 ms, hop of 10 ms; 128 bands up to half of `sample_rate` (Hz).
    """
    size, hop = max(16, round(_WINDOW * sample_rate)), max(1, round(_HOP * sample_rate))
    padded = np.pad(np.asarray(samples, dtype=np.float64), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: hop * _stride(len(samples), hop)]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), 2 * _ROWS * -(-size // (2 * _ROWS)), axis=1)) ** 2
    bands = power[:, : _ROWS * (power.shape[1] // _ROWS)].reshape(len(frames), _ROWS, -1).mean(2)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12)).T
    return decibels - decibels.max()


def png(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """Image of `levels` over 70 dB, low frequencies at the bottom, one column per 10 ms (fewer for long audio)."""
    shades = np.clip(1 + levels(samples, sample_rate)[::-1] / _RANGE_DB, 0, 1) * 255
    return encode(shades.round().astype(np.uint8), palette())


def palette() -> NDArray[np.uint8]:
    """256 colours [256, 3] from near black through violet and orange to pale yellow, ever brighter."""
    at = np.linspace(0, len(_STOPS) - 1, 256)
    channels = [np.interp(at, range(len(_STOPS)), [stop[c] for stop in _STOPS]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def encode(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """A PNG of indices [height, width] into `colours` [256, 3] (ISO/IEC 15948, colour type 3)."""
    height, width = pixels.shape
    rows = np.concatenate((np.zeros((height, 1), np.uint8), pixels), axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    packed = zlib.compress(rows.tobytes(), 9)
    chunks = [(b"IHDR", header), (b"PLTE", colours.tobytes()), (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _stride(samples: int, hop: int) -> int:
    return max(1, -(-samples // hop // _MOST_COLUMNS))
