"""Writes that either happen whole or not at all, and say in one sentence why they could not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stentor.errors import StentorError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it is synced and takes the name, else it goes.

    Raises:
        StentorError: when the folder or disk cannot take the file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write (read-only, full disk, no permission) into one `StentorError`."""
    try:
        yield
    except OSError as cause:
        reason = os.strerror(cause.errno) if cause.errno else f"the disk refuses ({str(cause).rstrip('.')})"
        raise StentorError(f"cannot write it: {reason}.", path=str(path)) from cause


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or what a folder lists."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
