"""Folders of the Hugging Face `datasets` library: audio folders with metadata, saved data sets, parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stentor.data.atomic import replacing
from stentor.data.corpora import table
from stentor.errors import StentorError
from stentor.extras import require
from stentor.interfaces.corpus import Corpus, Item, Rejected

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.tsv")
_SPLITS = frozenset({"train", "training", "valid", "validation", "val", "dev", "test", "testing", "eval", "evaluation"})


class HuggingFace(Corpus):
    """An ``audiofolder`` (``metadata.csv`` or ``.jsonl`` with ``file_name``), a saved data set, or parquet files.

    Audio folders need nothing else; saved data sets and parquet need the extra ``datasets`` (pyarrow). Audio that is
    stored inside them is written out as files.

    Args:
        audio: column of the audio (of the path, in metadata); empty: ``file_name`` or ``audio``.
        text: column of the transcript; empty: a usual name (text, sentence, transcript, ...).
        speaker: column; empty: a usual name, if there is one.
        require_text: whether rows without text are left out.
        keep: whether further columns of plain values are kept as custom fields.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        audio: str = "",
        text: str = "",
        speaker: str = "",
        require_text: bool = True,
        keep: bool = True,
    ) -> None:
        self.source = Path(source)
        self.workspace = Path(workspace)
        self.named = {"audio": audio, "text": text, "speaker": speaker}
        self.require_text = require_text
        self.keep = keep

    def items(self) -> Iterator[Item | Rejected]:
        metadata = sorted(path for name in _METADATA for path in self.source.rglob(name))
        if metadata:
            for path in metadata:
                yield from self._audio_folder(path)
            return
        stored = list(_stored(self.source))
        if not stored:
            raise StentorError("it holds no metadata.csv, metadata.jsonl, saved data set or parquet file.",
                               path=str(self.source))  # fmt: skip
        for split, files in stored:
            yield from self._arrow(split, files)

    def _audio_folder(self, path: Path) -> Iterator[Item | Rejected]:
        audio, text, speaker = self.named["audio"] or "file_name", self.named["text"], self.named["speaker"]
        listed = table.Table(path, self.workspace, audio=audio, text=text, speaker=speaker,
                             require_text=self.require_text, keep=self.keep)  # fmt: skip
        for item in listed.items():
            yield item if isinstance(item, Rejected) or item.split != "all" else self._with_split(item)

    def _with_split(self, item: Item) -> Item:
        audio = Path() if item.audio is None else item.audio
        parts = audio.relative_to(self.source).parts if audio.is_relative_to(self.source) else ()
        split = next((part for part in parts[:-1] if part.lower() in _SPLITS), "all")
        name = "-".join(Path(*parts).with_suffix("").parts) if parts else item.id
        return Item(name, item.audio, item.text, item.speaker, item.language, split, custom=item.custom)

    def _arrow(self, split: str, files: list[Path]) -> Iterator[Item | Rejected]:
        number = 0
        for file in files:
            for row in _rows(file):
                yield self._stored_item(f"{file}: row {number}", row, split, number)
                number += 1

    def _stored_item(self, where: str, row: dict[str, Any], split: str, number: int) -> Item | Rejected:
        column = self.named["audio"] or "audio"
        if column not in row:
            raise StentorError("there is no such column; name the one of the audio with audio=COLUMN.",
                               path=str(self.source), value=column, options=sorted(row))  # fmt: skip
        path = self._file(row[column], split, number)
        if path is None:
            return Rejected(where, "the row holds no audio, neither bytes nor the path of a file")
        plain = {name: value for name, value in row.items() if isinstance(value, str | int | float | bool)}
        columns = table.columns_of(list(row), self.named | {"audio": column}, where)
        row = plain | {column: str(path.absolute()), "_id": f"{split}-{number:06d}", "_split": split}
        return table.item((where, row), columns | {"id": "_id", "split": "_split"}, path.parent,
                          self.require_text, self.keep)  # fmt: skip

    def _file(self, stored: Any, split: str, number: int) -> Path | None:
        """The file of a row's audio; what is stored as bytes is written to the workspace once."""
        if isinstance(stored, str):
            stored = {"path": stored}
        if not isinstance(stored, dict):
            return None
        content, path = stored.get("bytes"), stored.get("path")
        if not content:
            return self.source / path if path else None
        suffix = Path(path).suffix if path else ".wav"
        file = self.workspace / split / f"{number:06d}{suffix if suffix.isprintable() else ''}"
        if not file.is_file() or file.stat().st_size != len(content):
            with replacing(file) as temporary:
                temporary.write_bytes(content)
        return file


def _stored(source: Path) -> Iterator[tuple[str, list[Path]]]:
    """(split, files) of saved data sets and of parquet files below `source`."""
    for state in sorted(source.rglob("state.json")):
        try:
            names = [Path(one["filename"]).name for one in json.loads(state.read_text())["_data_files"]]
        except (OSError, ValueError, KeyError, TypeError) as cause:
            raise StentorError(f"it is not the state of a saved data set: {cause!r}.", path=str(state)) from cause
        yield ("all" if state.parent == source else state.parent.name), [state.parent / name for name in names]
    splits: dict[str, list[Path]] = {}
    for file in sorted(source.rglob("*.parquet")):
        splits.setdefault(file.name.split("-")[0].removesuffix(".parquet"), []).append(file)
    yield from splits.items()


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of an Arrow stream (as `datasets` saves it) or of a parquet file, a batch at a time."""
    arrow = require("pyarrow", "datasets")
    try:
        if file.suffix == ".parquet":
            batches = require("pyarrow.parquet", "datasets").ParquetFile(file).iter_batches(64)
        else:
            batches = arrow.ipc.open_stream(arrow.memory_map(str(file)))
        for batch in batches:
            for offset in range(0, batch.num_rows, 64):
                yield from batch.slice(offset, 64).to_pylist()
    except (arrow.ArrowException, OSError) as cause:
        raise StentorError(f"it cannot be read: {cause}.", path=str(file)) from cause
