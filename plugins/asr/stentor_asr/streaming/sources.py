"""Where live audio comes from: a pipe with PCM or WAV, or the microphone."""

from __future__ import annotations

import math
import queue
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stentor.data.resample import Resampler
from stentor.errors import StentorError
from stentor.extras import require

_BLOCK = 0.02  # s
_TYPES = {(1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4"}
_EXTENSIBLE = 0xFFFE
_LARGEST_CHUNK = 1 << 20
_UNTOLD = 0x7FFF0000
"""A writer that does not know how long its WAV will be claims at least so many bytes, or none."""
_OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"RF64": "RF64", b"RIFX": "RIFX", b"FORM": "AIFF", b"caff": "CAF"}
_CHANNELS, _RATES = (1, 64), (2_000, 768_000)


def pipe(stream: BinaryIO, sample_rate: int, raw_rate: int = 16_000) -> Iterator[NDArray[np.float32]]:
    """Mono float32 blocks at `sample_rate` of a WAV file, or else of raw 16 bit little-endian mono PCM, as it arrives.

    Args:
        stream: unbuffered or buffered, not seekable.
        sample_rate: wanted (Hz).
        raw_rate: of raw PCM (Hz).

    Raises:
        StentorError: for a file in a form that cannot be read from a pipe.
    """
    head, left = _exactly(stream, 4), math.inf
    if head in _OTHERS:
        raise StentorError(f"the pipe brings {_OTHERS[head]}; WAV or raw PCM is read from one.", path="-")
    rate, channels, kind = raw_rate, 1, "<i2"
    if head == b"RIFF":
        head, (rate, channels, kind, left) = b"", _wav_header(stream)
    resampler = Resampler(rate, sample_rate)
    size, held = np.dtype(kind).itemsize * channels, head
    block = max(1, round(_BLOCK * rate)) * size
    while data := _some(stream, int(min(block, left))):
        left -= len(data)
        held += data
        whole = len(held) // size * size
        yield resampler.push(_mono(held[:whole], kind, channels))
        held = held[whole:]
    if len(held) >= size:
        yield resampler.push(_mono(held[: len(held) // size * size], kind, channels))
    yield resampler.flush()


def microphone(sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Mono float32 blocks of the default microphone until interrupted.

    Raises:
        StentorError: without the extra, or without a microphone.
    """
    try:
        devices: Any = require("sounddevice", "microphone", distribution="stentor-asr")
    except OSError as cause:
        advice = "Install PortAudio (on Debian: apt install libportaudio2)."
        raise StentorError(f"the microphone cannot be used: {cause}.", suggestion=advice) from cause
    heard: queue.SimpleQueue[NDArray[np.float32]] = queue.SimpleQueue()
    options = {"samplerate": sample_rate, "channels": 1, "dtype": "float32", "blocksize": round(_BLOCK * sample_rate)}
    try:
        with devices.InputStream(callback=lambda block, *_: heard.put(block[:, 0].copy()), **options):
            while True:
                yield heard.get()
    except devices.PortAudioError as cause:
        raise StentorError(f"the microphone cannot be opened: {cause}.") from cause


def _wav_header(stream: BinaryIO) -> tuple[int, int, str, float]:
    """Sample rate (Hz), channels, sample type and bytes of data of a WAV file whose ``RIFF`` is read.

    It ends where the data begin; other chunks may follow them. A file that was made in a pipe does not know how long
    it is: then there are infinitely many bytes.
    """
    if _exactly(stream, 8)[4:] != b"WAVE":
        raise StentorError("the pipe brings a RIFF file that is no WAV file.", path="-")
    form: tuple[int, int, str] | None = None
    while len(head := _exactly(stream, 8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if form is None:
                break
            return *form, (size if 0 < size < _UNTOLD else math.inf)
        if size > _LARGEST_CHUNK:
            break
        content = _exactly(stream, size + size % 2)
        if name == b"fmt " and len(content) >= 16:
            form = _form(content)
    raise StentorError("the pipe brings a WAV file whose header is damaged.", path="-")


def _form(content: bytes) -> tuple[int, int, str]:
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE and len(content) >= 26:
        (code,) = struct.unpack("<H", content[24:26])
    fine = _CHANNELS[0] <= channels <= _CHANNELS[1] and _RATES[0] <= rate <= _RATES[1]
    if (code, bits) not in _TYPES or not fine:
        raise StentorError(f"the pipe brings WAV of format {code} with {bits} bits, {channels} channels and {rate} Hz; "
                           "PCM of 16 or 32 bits or 32 bit floats are read.", path="-")  # fmt: skip
    return rate, channels, _TYPES[code, bits]


def _mono(data: bytes, kind: str, channels: int) -> NDArray[np.float32]:
    samples = np.frombuffer(data, kind)
    scaled = samples.astype(np.float32) / (1.0 if kind == "<f4" else float(-int(np.iinfo(kind).min)))
    mixed = scaled.reshape(-1, channels).mean(axis=1)
    return np.nan_to_num(mixed, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer at the end."""
    found = b""
    while len(found) < size and (data := stream.read(size - len(found))):
        found += data
    return found


def _some(stream: BinaryIO, size: int) -> bytes:
    """At least one and at most `size` bytes, as soon as there are any; none at the end."""
    read = getattr(stream, "read1", stream.read)
    data: bytes = read(size)
    return data
