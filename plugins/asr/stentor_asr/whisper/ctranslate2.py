"""Reads a model file of CTranslate2's binary format, version 6 or 5, without CTranslate2.

Layout, little-endian: version u32; specification name; revision u32; number of variables u32; per variable its name,
rank u8, dimensions u32 each, type u8, size in bytes u32, data; number of aliases u32; per alias its name and the name
of the variable. A name is its length with the closing NUL (u16) and the bytes.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stentor.errors import StentorError

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass(frozen=True)
class Variables:
    """What the file holds: the specification's name and revision, and every variable, aliases included."""

    specification: str
    revision: int
    arrays: dict[str, np.ndarray] = field(repr=False)


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += struct.calcsize(code)
        return int(value)

    def take(self, size: int) -> int:
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise ValueError("the file ends too early")
        return start

    def name(self) -> str:
        size = self.number("H")
        start = self.take(size)
        return self.data[start : start + size].rstrip(b"\0").decode()

    def variable(self) -> tuple[str, np.ndarray]:
        name = self.name()
        shape = tuple(self.number("I") for _ in range(self.number("B")))
        kind, size = self.number("B"), self.number("I")
        if kind not in _TYPES:
            raise ValueError(f"variable '{name}' has type {kind}, which is not known")
        flat: np.ndarray = np.frombuffer(self.data, np.dtype(_TYPES[kind]), size // np.dtype(_TYPES[kind]).itemsize,
                                         self.take(size))  # fmt: skip
        return name, flat.reshape(shape)


def read(path: Path) -> Variables:
    """Map the file and list its variables; no data is copied.

    Raises:
        StentorError: when it is no such file, or a damaged one.
    """
    try:
        with path.open("rb") as stream:
            cursor = _Cursor(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        version = cursor.number("I")
        if version not in (5, 6):
            raise ValueError(f"format version {version}; 5 and 6 are read")
        specification, revision = cursor.name(), cursor.number("I")
        arrays = dict(cursor.variable() for _ in range(cursor.number("I")))
        for _ in range(cursor.number("I")):
            alias, name = cursor.name(), cursor.name()
            arrays[alias] = arrays[name]
    except (OSError, ValueError, KeyError, struct.error) as cause:
        raise StentorError(f"is not a CTranslate2 model that can be read ({cause}).", path=str(path)) from cause
    return Variables(specification, revision, arrays)
