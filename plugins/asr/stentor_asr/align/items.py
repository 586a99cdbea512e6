"""What `stentor align` is given, as items: text files, tables and manifests beside audio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stentor.data import audio, manifest
from stentor.data.corpora import transcripts
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_asr.align.aligner import Item
from stentor_asr.transcribe import places

_MANIFESTS = (".jsonl", ".jsonl.gz")


def items(given: Sequence[Path], text: Path | None) -> Iterator[Item | Rejected]:
    """Items in a fixed order, and what cannot be one.

    Args:
        given: audio files and folders; may be empty for a manifest.
        text: the text of a single file; for several a table of ``name text`` lines, or a manifest; None takes the text
            beside each file (``a.wav``, ``a.txt``).

    Raises:
        StentorError: when there is nothing to align at all.
    """
    if text is not None and not text.is_file():
        raise StentorError("there is no such file of text.", path="--text", value=str(text))
    if text is not None and text.name.endswith(_MANIFESTS):
        wanted = {os.path.realpath(path) for path, _ in places.found(given)} if given else None
        yield from _from_manifest(text, wanted)
        return
    if not given:
        raise StentorError("name audio files, or a manifest with --text.", path="AUDIO")
    files = places.found(given)
    beside = _Texts(text, alone=len(files) == 1)
    for path, relative in files:
        lines = beside.of(path, relative)
        yield lines if isinstance(lines, Rejected) else _item(path, relative.with_suffix(""), lines)
    yield from beside.bad


def _item(path: Path, name: Path, lines: tuple[str, ...]) -> Item | Rejected:
    try:
        return Item(name, path, audio.info(path).duration, lines)
    except StentorError as error:
        return Rejected(str(path), error.problems[0].message)


class _Texts:
    """The text of each file: from one file, from a table, or from beside it."""

    def __init__(self, text: Path | None, *, alone: bool) -> None:
        self.alone = text if alone else None
        self.table: Mapping[str, str] | None = None
        self.bad: list[Rejected] = []
        if text is not None and not alone:
            rows = list(transcripts.table(text))
            self.bad = [row for row in rows if isinstance(row, Rejected)]
            self.table = dict(row for row in rows if not isinstance(row, Rejected))

    def of(self, path: Path, relative: Path) -> tuple[str, ...] | Rejected:
        if self.table is not None:
            names = (relative.as_posix(), relative.with_suffix("").as_posix(), path.name, path.stem)
            text = next((self.table[name] for name in names if name in self.table), None)
            return (text,) if text else Rejected(str(path), "no text: the table does not name it")
        source = self.alone or path.with_suffix(".txt")
        if not source.is_file():
            return Rejected(str(path), f"no text: {source.name} is missing beside it")
        rows = list(transcripts.lines(source))
        bad = next((row for row in rows if isinstance(row, Rejected)), None)
        lines = tuple(row[1] for row in rows if not isinstance(row, Rejected))
        return bad or lines or Rejected(str(path), f"no text: {source.name} is empty")


def _from_manifest(path: Path, wanted: set[str] | None) -> Iterator[Item | Rejected]:
    for row in manifest.rows(path):
        if isinstance(row, Rejected):
            yield row
        elif wanted is None or os.path.realpath(row.audio) in wanted:
            yield _of_utterance(row)


def _of_utterance(row: Utterance) -> Item | Rejected:
    if not (row.text or "").strip():
        return Rejected(row.id, "no text: the manifest has none for it")
    whole = row.start == 0 and abs(row.duration * row.sample_rate - row.frames) <= 1
    name = Path(*[part for part in Path(row.id).parts if part not in ("/", "..")] or ["utterance"])
    return Item(name, Path(row.audio), row.duration, (row.text or "",), row.start, row.channel, whole)
