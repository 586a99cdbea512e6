"""Kaldi data directories: ``wav.scp`` and ``text``, and what else of the usual tables is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora import transcripts
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

_Stretch = tuple[str, float, float | None]
_ARCHIVE = re.compile(r"\.ark:\d+$")


class Kaldi(Corpus):
    """One data directory, or a folder of several whose names become splits.

    ``wav.scp`` entries that are commands (``sph2pipe ... |``) are refused and reported, as a manifest runs nothing.

    Args:
        root: folder that relative audio paths count from; empty: the data directory, one of the folders above it, or
            the working directory, wherever the file is.
        require_text: whether utterances without text are left out.
        language: BCP-47 tag, where ``utt2lang`` does not tell.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        root: str = "",
        require_text: bool = True,
        language: str | None = None,
    ) -> None:
        self.source = Path(source)
        self.root = root
        self.require_text = require_text
        self.language = language

    def items(self) -> Iterator[Item | Rejected]:
        if (self.source / "wav.scp").is_file():
            yield from self._directory(self.source, "all")
            return
        folders = sorted(path.parent for path in self.source.glob("*/wav.scp"))
        if not folders:
            raise StentorError("there is no wav.scp in it or in a folder of it.", path=str(self.source))
        for folder in folders:
            yield from self._directory(folder, folder.name)

    def _directory(self, folder: Path, split: str) -> Iterator[Item | Rejected]:
        bad: list[Rejected] = []
        recordings = _pairs(folder / "wav.scp", bad)
        segments = _pairs(folder / "segments", bad) if (folder / "segments").is_file() else None
        tables = {name: _pairs(folder / name, bad) for name in ("text", "utt2spk", "utt2lang", "spk2gender")}
        yield from bad
        for name in segments if segments is not None else recordings:
            where = f"{folder}: {name}"
            stretch = _stretch(name, segments)
            if isinstance(stretch, str):
                yield Rejected(where, stretch)
                continue
            audio = self._audio(recordings.get(stretch[0]), folder)
            if isinstance(audio, str):
                yield Rejected(where, audio)
            elif self.require_text and name not in tables["text"]:
                yield Rejected(where, "no text")
            else:
                yield self._item(name, audio, stretch, tables, split)
        named = segments if segments is not None else recordings
        for name in [name for name in tables["text"] if name not in named]:
            yield Rejected(f"{folder / 'text'}: {name}", "text without audio: wav.scp or segments does not name it")

    def _item(self, name: str, audio: Path, stretch: _Stretch, tables: dict[str, dict[str, str]], split: str) -> Item:
        speaker = tables["utt2spk"].get(name)
        gender = tables["spk2gender"].get(speaker or "")
        return Item(
            id=name,
            audio=audio,
            text=tables["text"].get(name),
            speaker=speaker,
            language=tables["utt2lang"].get(name, self.language),
            split=split,
            start=stretch[1],
            duration=stretch[2],
            custom={"gender": gender.upper()} if gender else {},
        )

    def _audio(self, entry: str | None, folder: Path) -> Path | str:
        """The file of a wav.scp entry, or why it is none."""
        if entry is None:
            return "its recording is not in wav.scp"
        if entry.endswith("|") or entry.startswith("|"):
            return (
                f"a piped command is refused: wav.scp must name files; run '{entry[:80]}' once and keep what it gives"
            )
        if _ARCHIVE.search(entry):
            return f"a Kaldi archive is refused: '{entry[:80]}'; extract it to wav files first"
        if Path(entry).is_absolute():
            return Path(entry)
        here = folder.resolve()
        bases = [Path(self.root)] if self.root else [here, *here.parents[:4], Path.cwd()]
        return next((base / entry for base in bases if (base / entry).is_file()), bases[0] / entry)


def _pairs(path: Path, bad: list[Rejected]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in transcripts.table(path, spaces=True) if path.is_file() else ():
        if isinstance(line, Rejected):
            bad.append(line)
        elif line[0] in found:
            bad.append(Rejected(f"{path}: {line[0]}", "duplicate id: the line before it is used"))
        else:
            found[line[0]] = line[1]
    return found


def _stretch(name: str, segments: dict[str, str] | None) -> _Stretch | str:
    """Recording, start (s) and duration (s) of an utterance, or what is wrong with its segment."""
    if segments is None:
        return name, 0.0, None
    try:
        recording, start, end = segments[name].split()[:3]
        begin, finish = float(start), float(end)
    except ValueError:
        return f"a segment is RECORDING START END: '{segments[name][:80]}'"
    return recording, begin, None if finish == -1 else finish - begin
