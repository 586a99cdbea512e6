"""The texts of a batch: rows of a table, or a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stentor.data import manifest
from stentor.data.corpora import records
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected

_TEXTS = ("text", "sentence", "input", "transcript")
_IDS = ("id", "utt_id", "name")


@dataclass(frozen=True)
class Row:
    """One text to say.

    Attributes:
        where: ``file:line``.
        id: what its audio is called.
        text: what to say.
        voice: path of a reference or name of a voice; empty: that of the command.
        style: words or levels; empty: those of the command.
        seed: None: that of the command.
    """

    where: str
    id: str
    text: str
    voice: str = ""
    style: str | Mapping[str, Any] = ""
    seed: int | None = None


def rows(path: Path) -> Iterator[Row | Rejected]:
    """Rows of a manifest, or of a CSV, TSV or JSONL table with a column of texts and perhaps id, voice, style and seed.

    A voice is a recording or a name; relative paths count from the table's folder. An id that comes again is rejected.

    Raises:
        StentorError: when it cannot be opened, has no column of texts, or no row.
    """
    taken, empty = set[str](), True
    for row in _of_manifest(path) if _is_manifest(path) else _of_table(path):
        empty = False
        if isinstance(row, Row) and row.id in taken:
            yield Rejected(row.where, f"duplicate id: '{row.id}'")
            continue
        if isinstance(row, Row):
            taken.add(row.id)
        yield row
    if empty:
        raise StentorError("there is no row in this table.", path=str(path))


def _is_manifest(path: Path) -> bool:
    first = next(iter(records.read(path)), None)
    return isinstance(first, tuple) and "supervisions" in first[1]


def _of_manifest(path: Path) -> Iterator[Row | Rejected]:
    for number, row in enumerate(manifest.rows(path, check_audio=False), 1):
        if isinstance(row, Rejected):
            yield row
            continue
        prompt = row.custom.get("prompt")
        voice = prompt.get("audio", "") if isinstance(prompt, Mapping) else prompt or ""
        yield Row(f"{path}:{number}", row.id, row.text or "", _from(path, str(voice)), row.custom.get("style", ""))


def _of_table(path: Path) -> Iterator[Row | Rejected]:
    for number, row in enumerate(records.read(path), 1):
        if isinstance(row, Rejected):
            yield row
            continue
        where, given = row
        column = next((name for name in _TEXTS if name in given), None)
        if column is None:
            if number == 1:
                raise StentorError("no column holds the texts.", path=str(path), options=_TEXTS)
            yield Rejected(where, "no text")
            continue
        yield _row(where, f"{path.name.partition('.')[0]}-{number:06d}", given, column, path)


def _row(where: str, otherwise: str, given: Mapping[str, Any], column: str, path: Path) -> Row | Rejected:
    name = next((given[one] for one in _IDS if given.get(one) not in (None, "")), otherwise)
    seed = given.get("seed")
    if not isinstance(given[column], str):
        return Rejected(where, f"the text is not text: {given[column]!r:.60}")
    if seed not in (None, "") and not str(seed).isdecimal():
        return Rejected(where, f"the seed is no whole number: {seed!r:.40}")
    voice, style = (str(given.get(one) or "") for one in ("voice", "style"))
    return Row(
        where, str(name), given[column], _from(path, voice), style, int(seed) if seed not in (None, "") else None
    )


def _from(path: Path, voice: str) -> str:
    """A path from the table's folder, where there is such a file; else the name of a voice."""
    there = path.parent / voice
    return str(there) if voice and there.is_file() else voice
