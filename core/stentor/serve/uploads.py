"""Uploaded files: from the form to a path on disk that is gone when the request is."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request

from stentor.data import audio
from stentor.serve.refusals import Refusal

MAX_FIELDS = 200
"""A form with more fields is refused."""
_FIELD_BYTES = 64 * 1024
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Upload:
    """A form with one file: its path on disk, and the other fields in the order in which they came."""

    path: Path
    fields: tuple[tuple[str, str], ...]


@asynccontextmanager
async def received(request: Request, field: str = "file") -> AsyncIterator[Upload]:
    """Read the form of `request`; its file is on disk inside the block, in a folder of its own.

    Raises:
        Refusal: when the form is not one with exactly one file, called `field`.
    """
    place = Path(tempfile.mkdtemp(prefix="stentor-upload-"))
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=_FIELD_BYTES) as form:
            file = form.get(field)
            if not isinstance(file, UploadFile):
                raise Refusal(f"the form has no file '{field}'; send multipart/form-data with one.", path=field,
                              code="missing_file")  # fmt: skip
            path = place / (_ODD.sub("-", Path(file.filename or "").name)[-80:].lstrip(".-") or "upload")
            await asyncio.to_thread(_write, file, path)
            fields = tuple((key, value) for key, value in form.multi_items() if isinstance(value, str))
        yield Upload(path, fields)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write(file: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1 << 20)


def check_audio(path: Path, longest: float) -> float:
    """Decode a file once to see that it is whole and not too long; how long it is (s).

    Raises:
        StentorError: when it is not audio, empty, too short, or breaks off.
        Refusal: when it is longer than `longest` (s).
    """
    header = audio.info(path)
    if not header.complete:
        raise Refusal("the file breaks off before the end that it declares.", code="truncated_audio", path="file")
    if header.duration > longest:
        raise _too_long(header.duration, longest)
    found = audio.scan(path, duration=longest + 1)
    seconds = found.frames / header.sample_rate
    if seconds > longest:
        raise _too_long(seconds, longest)
    if found.damaged:
        raise Refusal(f"the file breaks off or is damaged: {seconds:.2f} s of it can be read.", code="truncated_audio",
                      path="file")  # fmt: skip
    if seconds < audio.MIN_SECONDS:
        raise Refusal(f"the audio is too short: {1000 * seconds:.2g} ms.", code="audio_too_short", path="file")
    return seconds


def _too_long(seconds: float, longest: float) -> Refusal:
    told = f"the audio is longer than the {longest:g} s that this server takes"
    more = f": it has at least {seconds:.0f} s." if seconds > longest + 1 else "."
    return Refusal(told + more, status=413, code="audio_too_long", path="file")
