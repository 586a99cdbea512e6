"""lhotse manifests that exist already: cuts, or recordings with supervisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stentor.data import jsonl
from stentor.data.row import parse
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

_SUFFIXES = (".jsonl.gz", ".jsonl")


class Lhotse(Corpus):
    """A manifest file, or a folder of ``*cuts*``, or of ``*recordings*`` and ``*supervisions*`` (``.jsonl.gz``).

    A cut or recording with several supervisions gives an utterance for each. Stored features are passed over; what
    would run a command or fetch a URL is refused. The split is what follows ``cuts_`` or ``recordings_`` in the name.

    Args:
        root: folder that relative audio paths count from; empty: the manifest's.
        require_text: whether supervisions without text are left out.
    """

    def __init__(self, source: Path, workspace: Path, *, root: str = "", require_text: bool = True) -> None:
        self.source = Path(source)
        self.root = root
        self.require_text = require_text

    def items(self) -> Iterator[Item | Rejected]:
        for path in self._manifests():
            supervisions = _beside(path)
            rows = _joined(path, supervisions) if supervisions else _divided(path)
            folder = str(Path(self.root or path.parent).absolute())
            for where, row in rows:
                yield self._item(where, row, folder, _split(path))

    def _manifests(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        if not self.source.is_dir():
            raise StentorError("there is no such manifest or folder.", path=str(self.source))
        files = sorted(path for path in self.source.iterdir() if path.name.endswith(_SUFFIXES))
        for word in ("cuts", "recordings"):
            chosen = [path for path in files if word in path.name]
            if chosen:
                return chosen
        raise StentorError("no *cuts*.jsonl.gz or *recordings*.jsonl.gz lies there.", path=str(self.source))

    def _item(self, where: str, row: Any, folder: str, split: str) -> Item | Rejected:
        try:
            if isinstance(row, jsonl.BadRow):
                raise row
            found = parse(row, folder)
        except jsonl.BadRow as bad:
            return Rejected(where, str(bad))
        if self.require_text and not found.text:
            return Rejected(where, "no text")
        return Item(found.id, Path(found.audio), found.text, found.speaker, found.language, split, found.start,
                    found.duration, dict(found.custom), found.channel)  # fmt: skip


def _split(path: Path) -> str:
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    for word in ("cuts", "recordings"):
        before, found, after = stem.rpartition(word)
        if found:
            return after.strip("_-.") or before.strip("_-.") or "all"
    return stem


def _beside(path: Path) -> Path | None:
    beside = path.with_name(path.name.replace("recordings", "supervisions"))
    return beside if beside != path and beside.is_file() else None


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in jsonl.lines(path):
        try:
            row = jsonl.decoded(line)
            yield f"{path}:{number}", row if isinstance(row, dict) else jsonl.BadRow("the row is not a JSON object")
        except jsonl.BadRow as bad:
            yield f"{path}:{number}", bad


def _divided(path: Path) -> Iterator[tuple[str, Any]]:
    """Rows of cuts, one for each supervision; rows of recordings as cuts of the whole."""
    for where, row in _rows(path):
        if not isinstance(row, dict):
            yield where, row
        elif "sources" in row:
            yield where, _cut(row, {"id": row.get("id"), "start": 0.0, "duration": row.get("duration")})
        else:
            yield from ((where, part) for part in _parts(row))


def _parts(row: dict[str, Any]) -> list[dict[str, Any] | jsonl.BadRow]:
    row.pop("features", None)
    several = row.get("supervisions")
    if not isinstance(several, list) or len(several) < 2:
        return [row]
    wrong = jsonl.BadRow("a supervision is not an object")
    return [_part(row, one) if isinstance(one, dict) else wrong for one in several]


def _part(row: dict[str, Any], supervision: dict[str, Any]) -> dict[str, Any] | jsonl.BadRow:
    try:
        start = row.get("start", 0.0) + supervision["start"]
        fitted = {"id": supervision.get("id"), "start": max(start, 0.0), "duration": supervision["duration"]}
    except (KeyError, TypeError):
        return jsonl.BadRow("wrong duration: start and duration of a supervision must be numbers")
    return row | fitted | {"supervisions": [supervision]}


def _joined(path: Path, supervisions: Path) -> Iterator[tuple[str, Any]]:
    """A row for each supervision, with its recording."""
    recordings: dict[str, dict[str, Any]] = {}
    for where, row in _rows(path):
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            recordings[row["id"]] = row
        else:
            yield where, row if isinstance(row, jsonl.BadRow) else jsonl.BadRow("a recording without an id")
    for where, row in _rows(supervisions):
        if not isinstance(row, dict):
            yield where, row
            continue
        recording = recordings.get(str(row.get("recording_id")))
        yield where, _cut(recording, row) if recording else jsonl.BadRow("its recording is not in the list of those")


def _cut(recording: dict[str, Any], supervision: dict[str, Any]) -> dict[str, Any]:
    channel = supervision.get("channel", recording.get("channel_ids", 0))
    told = {name: supervision.get(name) for name in ("id", "start", "duration")}
    kind = "MultiCut" if isinstance(channel, list) else "MonoCut"
    return told | {"channel": channel, "recording": recording, "supervisions": [supervision], "type": kind}
