"""What the first and last bytes of an audio file tell: its kind, whether it breaks off, why it cannot be opened."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

_READABLE = {b"RIFF": "WAV", b"RF64": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF"}
_UNREADABLE = (
    (4, b"ftyp", "MP4/M4A"),
    (0, b"\x1a\x45\xdf\xa3", "WebM/Matroska"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)
_UNKNOWN_LENGTH = 0x7FFF0000
"""Programs that write WAV into a pipe declare a length near 2 or 4 GiB."""


def why_unreadable(path: Path) -> str:
    """One clause on why `path` cannot be opened as audio, with the way out where there is one."""
    if not path.is_file():
        if not path.exists():
            return "there is no such file."
        return "it is a folder, not an audio file." if path.is_dir() else "it is not a regular file."
    try:
        with open(path, "rb") as file:
            return _why_not_audio(file.read(512), path.name)
    except OSError as cause:
        return f"it cannot be opened: {cause.strerror}."


def _why_not_audio(head: bytes, name: str) -> str:
    if not head:
        return "the file is empty."
    for offset, mark, form in _UNREADABLE:
        if head[offset:].startswith(mark):
            return f"it is {form}, which is not read here; convert it first: ffmpeg -i '{name}' -ar 16000 out.wav"
    for mark, form in _READABLE.items():
        if head.startswith(mark):
            return f"it begins like {form} but is damaged or holds no audio that can be decoded."
    return "it is not audio in a known format (wav, flac, mp3, ogg, opus, aiff, au)."


def breaks_off(path: Path, form: str) -> bool:
    """Whether a WAV or Ogg file ends before its container says so; other formats only tell when decoded."""
    if form not in ("WAV", "WAVEX", "OGG"):
        return False
    with open(path, "rb") as file:
        return _ogg_breaks_off(file) if form == "OGG" else _wav_breaks_off(file)


def length_is_estimated(path: Path, form: str) -> bool:
    """Whether nothing in the file declares its length: an MP3 without a Xing, Info or VBRI frame at its beginning."""
    if form != "MP3":
        return False
    with open(path, "rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3" and len(head) == 10:  # ID3v2: the size is four times seven bits
            tag = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(tag)
        frame = file.read(256)
    return not any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def _wav_breaks_off(file: BinaryIO) -> bool:
    """Whether more than a tenth of a second of the declared data is missing; some writers miscount by a few bytes."""
    size = os.fstat(file.fileno()).st_size
    if file.read(4) != b"RIFF":
        return False
    position, bytes_per_second = 12, 0
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return length < _UNKNOWN_LENGTH and position + 8 + length > size + bytes_per_second // 10
        if name == b"fmt " and length >= 16 and position + 24 <= size:
            bytes_per_second = struct.unpack("<8xI4x", file.read(16))[0]
        position += 8 + length + length % 2
    return False


def _ogg_breaks_off(file: BinaryIO) -> bool:
    """Without the end-of-stream flag on its last page (RFC 3533) an Ogg stream is not complete."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - 65_307))
    tail = file.read()
    page = tail.rfind(b"OggS")
    return page >= 0 and (len(tail) < page + 6 or not tail[page + 5] & 4)
