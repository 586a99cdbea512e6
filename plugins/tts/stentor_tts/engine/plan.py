"""The plan of a run on the disk: every take in order, drawn up once; a run that goes on rewrites nothing anew."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stentor import __version__
from stentor.data import quarantine
from stentor.data.atomic import replacing
from stentor.data.prepare import QUARANTINE
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_tts.engine import texts
from stentor_tts.engine.settings import EngineSettings, as_plain
from stentor_tts.engine.texts import Job

_PLAN, _TYPED = ".plan.jsonl", ".typed.txt"


class Plan:
    """The takes of a run, on the disk.

    Attributes:
        takes: how many there are.
    """

    def __init__(self, path: Path, takes: int) -> None:
        self.path, self.takes = path, takes

    def __iter__(self) -> Iterator[Job | Rejected]:
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                told = json.loads(line)
                yield Job(**told) if "voice" in told else Rejected(**told)


def draw_up(sources: Sequence[str], folder: Path, settings: EngineSettings) -> Plan:
    """The plan for these texts and settings: the one that is there, or a new one.

    Raises:
        StentorError: when a source cannot be read, or there is nothing to say; why not is in the quarantine then.
    """
    path, given = folder / _PLAN, [_kept(source, folder) for source in sources]
    head = {"of": _fingerprint(given, settings)}
    if _head(path).get("of") == head["of"]:
        return Plan(path, _head(path)["takes"])
    body = folder / f"{_PLAN}.new"
    try:
        with replacing(body) as temporary:
            takes = _write(temporary, texts.jobs(texts.read(given), settings))
        with replacing(path) as temporary, temporary.open("wb") as file, body.open("rb") as rest:
            file.write(json.dumps({**head, "takes": takes}).encode() + b"\n")
            shutil.copyfileobj(rest, file)
    finally:
        body.unlink(missing_ok=True)
    plan = Plan(path, takes)
    if not takes:
        lost = [one for one in plan if isinstance(one, Rejected)]
        path.unlink()
        quarantine.write(folder / QUARANTINE, lost)
        first = f" The first of {len(lost)} reasons: {lost[0].where}: {lost[0].reason}." if lost else ""
        raise StentorError(f"there is nothing to say: no text is left of it.{first}", path=", ".join(sources))
    return plan


def _write(path: Path, found: Iterator[Job | Rejected]) -> int:
    takes = 0
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for one in found:
            takes += isinstance(one, Job)
            file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
    return takes


def _kept(source: str, folder: Path) -> str:
    """Standard input is kept in a file, for a run that goes on cannot read it again."""
    if source != "-":
        return source
    target = folder / _TYPED
    typed = sys.stdin.buffer.read()
    if typed.strip() or not target.exists():
        with replacing(target) as temporary:
            temporary.write_bytes(typed)
    return str(target)


def _fingerprint(sources: Sequence[str], settings: EngineSettings) -> str:
    told = {key: value for key, value in as_plain(settings).items() if key != "filters"}
    digest = hashlib.sha256(json.dumps([__version__, told], sort_keys=True).encode())
    for source in sources:
        try:
            with Path(source).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as cause:
            raise StentorError(f"cannot be read: {cause.strerror or cause}.", path=source) from cause
    return digest.hexdigest()


def _head(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            told: dict[str, Any] = json.loads(file.readline())
    except (OSError, ValueError):
        return {}
    return told
