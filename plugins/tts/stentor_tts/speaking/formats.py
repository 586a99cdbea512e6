"""Audio as bytes, chunk by chunk, in the formats that players know."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stentor.data.resample import Samples
from stentor.errors import StentorError

FORMATS = {
    "wav": ("WAV", "PCM_16", "audio/wav"),
    "pcm": ("RAW", "PCM_16", "audio/pcm"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "ogg": ("OGG", "VORBIS", "audio/ogg"),
    "opus": ("OGG", "OPUS", "audio/ogg"),
}
"""Name -> container and coding of libsndfile, and media type."""
SUFFIXES = {".wav": "wav", ".pcm": "pcm", ".raw": "pcm", ".flac": "flac", ".mp3": "mp3", ".ogg": "ogg", ".oga": "ogg",
            ".opus": "opus"}  # fmt: skip
_RATES = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
_UNKNOWN_LENGTH = 0x7FFFFF00


def form_of(path: Path) -> str:
    """The format that a file's ending names.

    Raises:
        StentorError: when it names none.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise StentorError("the ending of the file names no audio format that can be written.", path=str(path),
                           value=suffix, options=sorted(SUFFIXES))  # fmt: skip
    return SUFFIXES[suffix]


def rate_for(form: str, wanted: int) -> int:
    """The rate in which a format can hold audio of `wanted` Hz: that rate, or the next one that it knows."""
    rates = _RATES.get(form)
    return wanted if rates is None else next((rate for rate in rates if rate >= wanted), rates[-1])


class Encoder:
    """Turns chunks into bytes as they come.

    Args:
        form: one of `FORMATS`.
        sample_rate: (Hz); of `rate_for`.
        target: a file that can be sought in, which then gets a header with its length; None: bytes are given out as
            they are made, and a header says that the length is not known.

    Raises:
        OSError: by all methods, when the disk cannot take it.
    """

    def __init__(self, form: str, sample_rate: int, target: Path | None = None) -> None:
        container, coding, _ = FORMATS[form]
        self._sink, self._wav = _Sink(), form in ("wav", "pcm") and target is None
        self._header = wav_header(sample_rate) if form == "wav" and target is None else b""
        self._at_once = form == "flac"  # readers take a flac without its length in the header for endless
        self._file: Any = None
        if not self._wav:
            if target is not None:
                target.touch()  # says why not, where libsndfile only says that the system refuses
            with _writing():
                where = self._sink if target is None else target
                self._file = soundfile.SoundFile(where, "w", sample_rate, 1, coding, format=container)

    def push(self, samples: Samples) -> bytes:
        """Bytes that the next samples [n] bring."""
        if self._wav:
            header, self._header = self._header, b""
            return header + pcm(samples)
        with _writing():
            self._file.write(samples)
        return b"" if self._at_once else self._sink.taken()

    def close(self) -> bytes:
        """End it: the bytes that were left."""
        if self._wav:
            return self.push(np.zeros(0, np.float32))
        with _writing():
            self._file.close()
        return self._sink.taken()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as cause:
        raise OSError(str(cause.error_string)) from cause


def pcm(samples: Samples) -> bytes:
    """16 bit, little-endian."""
    return np.rint(samples * 32767).astype("<i2").tobytes()


def wav_header(sample_rate: int, frames: int | None = None) -> bytes:
    """44 bytes before mono PCM of 16 bit; without `frames` as programs write them into pipes."""
    size = _UNKNOWN_LENGTH if frames is None else 2 * frames
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + form + struct.pack("<4sI", b"data", size)


class _Sink(io.RawIOBase):
    """What libsndfile writes into, for others to take; what it corrects of bytes that have been taken is lost."""

    def __init__(self) -> None:
        self._held, self._gone, self._place = bytearray(), 0, 0

    def taken(self) -> bytes:
        """What was written since the last call."""
        held, self._held = bytes(self._held), bytearray()
        self._gone += len(held)
        return held

    def write(self, content: Any) -> int:
        begin = self._place - self._gone
        if begin >= 0:
            self._held[begin : begin + len(content)] = content
        self._place += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        end = self._gone + len(self._held)
        self._place = offset + (0, self._place, end)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, _: Any) -> int:
        return 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
