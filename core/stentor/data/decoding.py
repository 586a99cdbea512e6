"""Decoding a stretch of an audio file piece by piece, and getting out of a damaged one what there is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stentor.data.container import breaks_off, length_is_estimated
from stentor.data.resample import Samples
from stentor.errors import StentorError

TOLERANCE = 0.1
"""How far declared and decoded lengths may differ (s) before the file counts as damaged."""
_STEP = 1 << 10


class DamagedAudio(UserWarning):
    """A file breaks off or is damaged half-way; what could be read of it was used."""


class Forward(soundfile.SoundFile):
    """Reads on without the seek that `soundfile` adds after every read, which garbles MP3 piece by piece."""

    forward = False

    def seekable(self) -> bool:
        return not self.forward and super().seekable()


class Stretch:
    """Decodes a stretch of an open file as mono pieces; afterwards it knows how that went.

    Attributes:
        frames: how many samples came out.
        damaged: whether the file breaks off or cannot be decoded further.
    """

    def __init__(self, file: Forward, path: str | Path, start: float = 0.0, duration: float | None = None,
                 channel: int | None = None, *, piece: int = 1 << 14) -> None:  # fmt: skip
        if channel is not None and not 0 <= channel < file.channels:
            raise StentorError(f"there is no channel {channel}; the file has {file.channels}.", path=str(path))
        self._file, self._path, self._channel = file, path, channel
        self._first = _seek(file, path, round(start * file.samplerate))
        self._count = None if duration is None else round(duration * file.samplerate)
        there = max(0, file.frames - self._first)
        self._expected = there if self._count is None else min(self._count, there)
        self._piece = max(1, min(piece, self._expected))
        self.frames = 0
        whole = not start and duration is None
        self.damaged = whole and breaks_off(Path(path), file.format)

    def __iter__(self) -> Iterator[Samples]:
        floating = self._file.subtype in ("FLOAT", "DOUBLE")
        for piece in self._decoded():
            if floating and not np.isfinite(piece).all():
                raise StentorError("it holds samples that are not numbers (NaN or infinite).", path=str(self._path))
            self.frames += len(piece)
            yield _mono(piece, self._channel)
        missing = self._expected - self.frames > TOLERANCE * self._file.samplerate
        if missing and not length_is_estimated(Path(self._path), self._file.format):
            self.damaged = True

    def told(self) -> Iterator[Samples]:
        """The same, with a warning at the end when the file is damaged."""
        yield from self
        if self.damaged:
            seconds = self.frames / self._file.samplerate
            told = f"{self._path}: the file breaks off or is damaged; the {seconds:.2f} s that can be read are used."
            warnings.warn(DamagedAudio(told), stacklevel=3)

    def _decoded(self) -> Iterator[Samples]:
        try:
            yield from _reads(self._file, self._piece, self._count)
        except soundfile.LibsndfileError:
            self.damaged = True
            yield from self._salvaged()

    def _salvaged(self) -> Iterator[Samples]:
        """Decode again from the beginning, in small steps: what the failed piece holds before the damage."""
        done, position = self._first + self.frames, 0
        end = None if self._count is None else self._first + self._count
        with Forward(self._path) as file, suppress(soundfile.LibsndfileError):
            for piece in _reads(file, _STEP, end):
                position += len(piece)
                if position > done:
                    yield piece[-(position - done) :]


def _reads(file: Forward, size: int, count: int | None) -> Iterator[Samples]:
    """Pieces [n, channels] of the next `count` frames, or of all that are left."""
    file.forward = True
    done = 0
    while count is None or done < count:
        piece = file.read(size if count is None else min(size, count - done), dtype="float32", always_2d=True)
        if not len(piece):
            return
        done += len(piece)
        yield piece


def _mono(piece: NDArray[np.float32], channel: int | None) -> Samples:
    if piece.shape[1] == 1:
        return piece[:, 0]
    if channel is not None:
        return np.ascontiguousarray(piece[:, channel])
    return piece.mean(axis=1, dtype=np.float32)


def _seek(file: Forward, path: str | Path, position: int) -> int:
    """Go to `position`, or the end if that comes first; where that is."""
    if position <= 0:
        return 0
    try:
        return file.seek(min(position, file.frames))
    except soundfile.LibsndfileError as cause:
        where = position / file.samplerate
        raise StentorError(f"the file is damaged: it cannot be read from {where:.2f} s on.", path=str(path)) from cause
