"""Audio files in and out: the one place that touches them. What is not audio gets one clear sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from stentor.data.atomic import replacing
from stentor.data.container import breaks_off, why_unreadable
from stentor.data.resample import Resampler, Samples
from stentor.errors import StentorError

MIN_SECONDS = 0.01
"""Shorter files hold less than one analysis frame and are refused."""
RATES = (2_000, 768_000)
"""Sample rates that are believed (Hz)."""
SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"}
)
"""What an audio file is called; its content decides how it is read."""
TOLERANCE = 0.1
"""How far declared and decoded lengths may differ (s) before the file counts as damaged."""
_PIECE = 16384


class DamagedAudio(UserWarning):
    """A file breaks off or is damaged half-way; what could be read of it was used."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        sample_rate: (Hz).
        channels: how many.
        frames: samples per channel.
        format: e.g. ``WAV/PCM_16``.
        complete: False when the file visibly ends before its header says.
    """

    sample_rate: int
    channels: int
    frames: int
    format: str
    complete: bool = True

    @property
    def duration(self) -> float:
        """Length (s)."""
        return self.frames / self.sample_rate


def info(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises:
        StentorError: when there is no such file or it is not audio.
    """
    with _opened(path) as file:
        complete = not breaks_off(Path(path), file.format)
        return AudioInfo(file.samplerate, file.channels, file.frames, f"{file.format}/{file.subtype}", complete)


def read(
    path: str | Path,
    sample_rate: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
) -> Samples:
    """Read a file, or a stretch of it, as mono float32 [N] in [-1, 1].

    Args:
        path: the file; its content, not its name, says what it is.
        sample_rate: wanted rate (Hz); None keeps the file's.
        start: where to begin (s).
        duration: how much to read (s); None reads to the end.
        channel: which channel; None averages all.

    Raises:
        StentorError: for a file that is missing, not audio, too short, or holds NaN or infinite samples.
    """
    with _opened(path) as file:
        pieces = list(_Stretch(file, path, start, duration, channel).told())
        rate = file.samplerate
    samples = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    if len(samples) < (MIN_SECONDS * rate if duration is None else 1):
        raise _too_short(path, len(samples), rate)
    if sample_rate is None or sample_rate == rate:
        return samples
    stream = Resampler(rate, sample_rate)
    return np.concatenate([stream.push(samples), stream.flush()])


@dataclass(frozen=True, slots=True)
class Scan:
    """What decoding a stretch brought: frames decoded, whether the file is damaged, the loudest sample."""

    frames: int
    damaged: bool
    peak: float


def scan(path: str | Path, start: float = 0.0, duration: float | None = None, channel: int | None = None) -> Scan:
    """Decode a stretch without keeping it, to see that it can be decoded.

    Raises:
        StentorError: as `read` does; a damaged file is no error here but is told.
    """
    with _opened(path) as file:
        stretch = _Stretch(file, path, start, duration, channel)
        peak = max((float(np.abs(piece).max()) for piece in stretch), default=0.0)
        return Scan(stretch.frames, stretch.damaged, peak)


def blocks(
    path: str | Path,
    seconds: float,
    sample_rate: int | None = None,
    overlap: float = 0.0,
    channel: int | None = None,
) -> Iterator[Samples]:
    """Read a file of any length block by block, in memory that does not grow with it.

    Block k is mono float32 and begins at ``k * (seconds - overlap)``; the last one may be shorter. Resampling runs on
    across block borders, so that without overlap the blocks joined are what `read` gives.

    Args:
        path: the file.
        seconds: length of a block (s).
        sample_rate: wanted rate (Hz); None keeps the file's.
        overlap: how much of a block is repeated at the beginning of the next (s), less than `seconds`.
        channel: which channel; None averages all.

    Raises:
        StentorError: as `read` does.
    """
    if not 0 <= overlap < seconds:
        raise ValueError(f"overlap {overlap} must be at least 0 and less than the block of {seconds} s")
    with _opened(path) as file:
        rate = sample_rate or file.samplerate
        size, hop = round(seconds * rate), round(seconds * rate) - round(overlap * rate)
        held, count, repeated, total = [np.zeros(0, dtype=np.float32)], 0, 0, 0
        for piece in _resampled(_Stretch(file, path, 0.0, None, channel).told(), Resampler(file.samplerate, rate)):
            held.append(piece)
            count, total = count + len(piece), total + len(piece)
            while count >= size:
                joined = np.concatenate(held)
                yield joined[:size]
                held, count, repeated = [joined[hop:]], count - hop, size - hop
        if total < MIN_SECONDS * rate:
            raise _too_short(path, total, rate)
        if count > repeated:
            yield np.concatenate(held)


def write(path: str | Path, samples: NDArray[Any], sample_rate: int) -> None:
    """Write wav or flac (by the suffix, 16 bit) under a temporary name first.

    Args:
        path: where to; its folder is made if need be.
        samples: float [N] or [N, channels] in [-1, 1].
        sample_rate: (Hz).

    Raises:
        StentorError: for another suffix, or when the disk cannot take it.
    """
    form = {".wav": "WAV", ".flac": "FLAC"}.get(Path(path).suffix.lower())
    if form is None:
        raise StentorError("audio is written as .wav or .flac.", path=str(path), value=Path(path).suffix)
    with replacing(Path(path)) as temporary:
        try:
            soundfile.write(temporary, samples, sample_rate, format=form, subtype="PCM_16")
        except soundfile.LibsndfileError as cause:
            raise OSError(str(cause.error_string)) from cause


@contextmanager
def _opened(path: str | Path) -> Iterator[_Forward]:
    place = Path(path)
    try:
        usable = place.is_file() and place.suffix.lower() != ".raw"
        file = _Forward(place) if usable else None
    except (soundfile.LibsndfileError, OSError, ValueError, TypeError):
        file = None
    if file is None:
        raise StentorError(why_unreadable(place), path=str(path))
    with file:
        if not RATES[0] <= file.samplerate <= RATES[1]:
            raise StentorError(f"its header claims a sample rate of {file.samplerate} Hz.", path=str(path))
        yield file


class _Forward(soundfile.SoundFile):
    """Reads on without the seek that `soundfile` adds after every read, which garbles MP3 block by block."""

    forward = False

    def seekable(self) -> bool:
        return not self.forward and super().seekable()


class _Stretch:
    """Decodes a stretch of an open file, piece by piece, as mono; afterwards it knows how that went.

    Attributes:
        frames: how many samples came out.
        damaged: whether the file breaks off or cannot be decoded further.
    """

    def __init__(self, file: _Forward, path: str | Path, start: float, duration: float | None,
                 channel: int | None) -> None:  # fmt: skip
        if channel is not None and not 0 <= channel < file.channels:
            raise StentorError(f"there is no channel {channel}; the file has {file.channels}.", path=str(path))
        self._file, self._path, self._channel = file, path, channel
        _seek(file, path, round(start * file.samplerate))
        there = max(0, file.frames - file.tell())
        file.forward = True
        self._left = None if duration is None else round(duration * file.samplerate)
        self.expected = there if self._left is None else min(self._left, there)
        self.frames = 0
        whole = not start and duration is None
        self.damaged = whole and breaks_off(Path(path), file.format)

    def __iter__(self) -> Iterator[Samples]:
        floating = self._file.subtype in ("FLOAT", "DOUBLE")
        while self._left is None or self._left > self.frames:
            wanted = _PIECE if self._left is None else min(_PIECE, self._left - self.frames)
            try:
                piece = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                self.damaged = True
                break
            if not len(piece):
                break
            if floating and not np.isfinite(piece).all():
                raise StentorError("it holds samples that are not numbers (NaN or infinite).", path=str(self._path))
            self.frames += len(piece)
            yield _mono(piece, self._channel)
        self.damaged = self.damaged or self.frames < self.expected - TOLERANCE * self._file.samplerate

    def told(self) -> Iterator[Samples]:
        """The same, with a warning at the end when the file is damaged."""
        yield from self
        if self.damaged:
            seconds = self.frames / self._file.samplerate
            told = f"{self._path}: the file breaks off or is damaged; the {seconds:.2f} s that can be read are used."
            warnings.warn(DamagedAudio(told), stacklevel=3)


def _mono(piece: NDArray[np.float32], channel: int | None) -> Samples:
    if piece.shape[1] == 1:
        return piece[:, 0]
    if channel is not None:
        return np.ascontiguousarray(piece[:, channel])
    return piece.mean(axis=1, dtype=np.float32)


def _seek(file: _Forward, path: str | Path, position: int) -> None:
    if position <= 0:
        return
    try:
        file.seek(min(position, file.frames))
    except soundfile.LibsndfileError as cause:
        where = position / file.samplerate
        raise StentorError(f"the file is damaged: it cannot be read from {where:.2f} s on.", path=str(path)) from cause


def _resampled(pieces: Iterator[Samples], stream: Resampler) -> Iterator[Samples]:
    for piece in pieces:
        yield stream.push(piece)
    yield stream.flush()


def _too_short(path: str | Path, samples: int, rate: int) -> StentorError:
    if not samples:
        return StentorError("there is no audio in it.", path=str(path))
    told = f"{samples} sample{'s' * (samples != 1)} ({1000 * samples / rate:.2g} ms)"
    return StentorError(f"it is too short to use: {told}.", path=str(path))
