"""Audio files in and out: the one place that touches them. What is not audio gets one clear sentence."""

from __future__ import annotations

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
from stentor.data.decoding import TOLERANCE, DamagedAudio, Forward, Stretch
from stentor.data.resample import Resampler, Samples
from stentor.errors import StentorError

__all__ = ["MIN_SECONDS", "RATES", "SUFFIXES", "TOLERANCE", "AudioInfo", "DamagedAudio", "Scan", "blocks", "info",
           "read", "scan", "write"]  # fmt: skip

MIN_SECONDS = 0.01
"""Shorter files hold less than one analysis frame and are refused."""
RATES = (2_000, 768_000)
"""Sample rates that are believed (Hz)."""
SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"}
)
"""What an audio file is called; its content decides how it is read."""
_LARGEST_PIECE = 1 << 22


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
        pieces = list(Stretch(file, path, start, duration, channel, piece=_LARGEST_PIECE).told())
        rate = file.samplerate
    samples = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
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
        stretch = Stretch(file, path, start, duration, channel)
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
        for piece in _resampled(Stretch(file, path, channel=channel).told(), Resampler(file.samplerate, rate)):
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
def _opened(path: str | Path) -> Iterator[Forward]:
    place = Path(path)
    try:
        usable = place.is_file() and place.suffix.lower() != ".raw"
        file = Forward(place) if usable else None
    except (soundfile.LibsndfileError, OSError, ValueError, TypeError):
        file = None
    if file is None:
        raise StentorError(why_unreadable(place), path=str(path))
    with file:
        if not RATES[0] <= file.samplerate <= RATES[1]:
            raise StentorError(f"its header claims a sample rate of {file.samplerate} Hz.", path=str(path))
        yield file


def _resampled(pieces: Iterator[Samples], stream: Resampler) -> Iterator[Samples]:
    for piece in pieces:
        yield stream.push(piece)
    yield stream.flush()


def _too_short(path: str | Path, samples: int, rate: int) -> StentorError:
    if not samples:
        return StentorError("there is no audio in it.", path=str(path))
    told = f"{samples} sample{'s' * (samples != 1)} ({1000 * samples / rate:.2g} ms)"
    return StentorError(f"it is too short to use: {told}.", path=str(path))
