"""A CSV, TSV or JSONL table of audio paths and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stentor.data.corpora import records
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

_USUAL = {
    "audio": ("audio", "audio_filepath", "audio_path", "path", "file", "file_name", "filename", "wav"),
    "text": ("text", "sentence", "transcript", "transcription", "normalized_text"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk"),
    "language": ("language", "locale", "lang"),
    "split": ("split", "subset"),
    "id": ("id", "utt_id", "utterance_id"),
    "start": ("start", "offset"),
    "duration": ("duration", "dur"),
}


class Table(Corpus):
    """One row for each utterance, with the audio's path and what is known of it.

    Args:
        audio: column of the path; empty: the first usual name that the table has (audio, audio_filepath, path, ...).
        text: column of the transcript; empty: a usual name (text, sentence, transcript, ...).
        speaker: column; empty: a usual name, if there is one.
        language: column; empty: a usual name, if there is one.
        split: column; empty: a usual name, if there is one.
        id: column; empty: a usual name, else ids are made of the paths.
        start: column of the offset into the file (s).
        duration: column of the length (s).
        columns: names of the columns, for a table without a line of names.
        delimiter: between fields; empty: a tab in .tsv, else a comma.
        quotes: whether double quotes enclose fields; ``auto``: in CSV but not in TSV.
        root: folder that relative paths count from; empty: the table's.
        require_text: whether rows without text are left out.
        keep: whether further columns are kept as custom fields.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        audio: str = "",
        text: str = "",
        speaker: str = "",
        language: str = "",
        split: str = "",
        id: str = "",
        start: str = "",
        duration: str = "",
        columns: tuple[str, ...] = (),
        delimiter: str = "",
        quotes: Literal["auto", "yes", "no"] = "auto",
        root: str = "",
        require_text: bool = True,
        keep: bool = True,
    ) -> None:
        self.source = Path(source)
        self.named = {"audio": audio, "text": text, "speaker": speaker, "language": language,
                      "split": split, "id": id, "start": start, "duration": duration}  # fmt: skip
        self.columns = tuple(columns)
        self.delimiter = "\t" if delimiter == "\\t" else delimiter
        self.quotes = {"auto": None, "yes": True, "no": False}[quotes]
        self.root = Path(root) if root else self.source.parent
        self.require_text = require_text
        self.keep = keep

    def items(self) -> Iterator[Item | Rejected]:
        found: dict[str, str] = {}
        rows = records.read(self.source, columns=self.columns, delimiter=self.delimiter, quotes=self.quotes)
        for row in rows:
            if isinstance(row, Rejected):
                yield row
                continue
            found = found or columns_of(list(row[1]), self.named, str(self.source))
            yield item(row, found, self.root, self.require_text, self.keep)


def columns_of(header: Sequence[str], named: Mapping[str, str], where: str) -> dict[str, str]:
    """Which column tells the audio, the text and so on.

    Args:
        header: the columns there are.
        named: what the user named; empty or missing: the first usual name.
        where: for the error.

    Raises:
        StentorError: when a named column, or that of the audio, is not there.
    """
    found = {}
    for what, usual in _USUAL.items():
        wanted = named.get(what)
        if wanted and wanted not in header:
            raise StentorError(f"the table has no column '{wanted}'.", path=f"{where}: {what}",
                               value=wanted, options=header)  # fmt: skip
        name = wanted or next((name for name in usual if name in header), None)
        if name:
            found[what] = name
    if "audio" not in found:
        raise StentorError("no column looks like the path of the audio; name it with audio=COLUMN.",
                           path=where, value="audio", options=header)  # fmt: skip
    return found


def item(
    row: records.Record, columns: Mapping[str, str], root: Path, require_text: bool = True, keep: bool = True
) -> Item | Rejected:
    """The item of one row; `columns` says which column tells the audio, the text and so on."""
    where, given = row
    told = {what: given.get(name) for what, name in columns.items()}
    path, text = told.get("audio"), told.get("text")
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        return Rejected(where, "the path of the audio is not told")
    if text is not None and not isinstance(text, str):
        return Rejected(where, f"the text is not text: {text!r:.60}")
    if require_text and not (text or "").strip():
        return Rejected(where, "no text")
    try:
        start, duration = _seconds(told.get("start")), _seconds(told.get("duration"))
    except ValueError as cause:
        return Rejected(where, f"start or duration is no number: {cause}")
    rest = {name: value for name, value in given.items() if name not in columns.values() and value not in (None, "")}
    return Item(
        id=_word(told.get("id")) or _name(path, start),
        audio=root / path.strip(),
        text=text or None,
        speaker=_word(told.get("speaker")),
        language=_word(told.get("language")),
        split=_word(told.get("split")) or "all",
        start=start or 0.0,
        duration=duration,
        custom=rest if keep else {},
    )


def _word(value: Any) -> str | None:
    return str(value).strip() or None if isinstance(value, str | int) else None


def _seconds(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(repr(value))
    try:
        return float(value)
    except OverflowError:
        raise ValueError("it is too large") from None


def _name(path: str, start: float | None) -> str:
    parts = [part for part in Path(path.strip()).with_suffix("").parts if part not in ("/", "..", ".")]
    return "-".join(parts) + ("" if start is None else f"-{start:09.3f}")
