"""Lines of JSON, gzipped or not; a broken line, or a file that breaks off, is told and never fatal."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stentor.errors import StentorError

_LONGEST_LINE = 1 << 24


class BadRow(Exception):
    """Why one row cannot be used; never leaves the reader, which quarantines the row."""


def opened(path: str | Path) -> Any:
    """Open for reading bytes, unpacked.

    Raises:
        StentorError: when that cannot be.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 the caller closes it
    except (OSError, ValueError) as cause:
        raise StentorError(f"it cannot be opened: {getattr(cause, 'strerror', cause)}.", path=str(path)) from cause
    if file.peek(2)[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    return file


def lines(path: str | Path) -> Iterator[tuple[int, bytes | BadRow]]:
    """Numbered lines that are not blank; where the file itself breaks, a last `BadRow`."""
    with opened(path) as file:
        number = 0
        while True:
            number += 1
            try:
                line = file.readline(_LONGEST_LINE)
                overlong = len(line) == _LONGEST_LINE and not line.endswith(b"\n")
                while overlong and line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST_LINE)
            except (OSError, EOFError, zlib.error) as cause:
                yield number, BadRow(f"the file is damaged here and cannot be read on: {cause}")
                return
            if overlong:
                yield number, BadRow(f"the line is longer than {_LONGEST_LINE >> 20} MiB")
            elif not line:
                return
            elif line.strip():
                yield number, line


def decoded(line: bytes | BadRow) -> Any:
    """What a line holds.

    Raises:
        BadRow: when it is not JSON, or was broken already.
    """
    if isinstance(line, BadRow):
        raise line
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as cause:
        raise BadRow(f"the line is not JSON: {cause}") from cause
