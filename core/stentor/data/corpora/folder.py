"""A folder of audio with text beside it, or with one file of transcripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from stentor.data.corpora import transcripts
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected


class Folder(Corpus):
    """Audio files below a folder, at any depth, and their text.

    The text of ``a/x.wav`` is in ``a/x.txt``, or all texts are in one file of lines ``x some text`` (the name with or
    without its folder and suffix; separated by a space, a tab or ``|``).

    Args:
        transcripts: the one file of transcripts, from the folder; empty: text beside each file.
        text_suffix: of the text beside each file.
        require_text: whether audio without text is left out; else it comes without.
        speaker: where the speaker is told: the ``folder`` a file lies in, the ``prefix`` of its name up to the first
            ``-`` or ``_``, or nowhere.
        split: where the split is told: the first ``folder`` below the source, or nowhere.
        language: BCP-47 tag of all of it.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        transcripts: str = "",
        text_suffix: str = ".txt",
        require_text: bool = True,
        speaker: Literal["none", "folder", "prefix"] = "none",
        split: Literal["none", "folder"] = "none",
        language: str | None = None,
    ) -> None:
        self.source = Path(source)
        self.transcripts = transcripts
        self.text_suffix = text_suffix
        self.require_text = require_text
        self.speaker = speaker
        self.split = split
        self.language = language

    def items(self) -> Iterator[Item | Rejected]:
        if not self.source.is_dir():
            raise StentorError("it is not a folder.", path=str(self.source))
        files = transcripts.audio_files(self.source)
        if self.transcripts:
            yield from self._from_one_file(files)
        else:
            yield from self._from_beside(files)

    def total(self) -> int:
        return len(transcripts.audio_files(self.source))

    def _from_beside(self, files: list[Path]) -> Iterator[Item | Rejected]:
        used = set()
        for file in files:
            beside = file.with_suffix(self.text_suffix)
            used.add(beside)
            text = transcripts.whole(beside) if beside.is_file() else None
            yield text if isinstance(text, Rejected) else self._item(file, text, f"no text: {beside.name} is missing")
        for orphan in sorted(set(self.source.rglob("*" + self.text_suffix)) - used):
            if orphan.is_file():
                yield Rejected(str(orphan), "text without audio: no audio file of that name lies beside it")

    def _from_one_file(self, files: list[Path]) -> Iterator[Item | Rejected]:
        path = self.source / self.transcripts
        if not path.is_file():
            raise StentorError("there is no such file of transcripts.", path=str(path))
        texts: dict[str, str] = {}
        for line in transcripts.table(path):
            if isinstance(line, Rejected):
                yield line
            else:
                texts.setdefault(*line)
        used = set()
        for file in files:
            name = next((name for name in self._names(file) if name in texts), None)
            used.add(name)
            text = texts[name] if name else None
            yield self._item(file, text, f"no text: {self.transcripts} does not name it")
        for name in [name for name in texts if name not in used]:
            yield Rejected(f"{path}: {name}", "text without audio: there is no such audio file")

    def _names(self, file: Path) -> list[str]:
        path = file.relative_to(self.source)
        return [path.as_posix(), path.with_suffix("").as_posix(), file.name, file.stem]

    def _item(self, file: Path, text: str | None, missing: str) -> Item | Rejected:
        if text is None and self.require_text:
            return Rejected(str(file), missing)
        path = file.relative_to(self.source)
        folders = path.parent.parts
        return Item(
            id="-".join(path.with_suffix("").parts),
            audio=file,
            text=text,
            speaker=self._speaker(file, folders),
            language=self.language,
            split=folders[0] if self.split == "folder" and folders else "all",
        )

    def _speaker(self, file: Path, folders: tuple[str, ...]) -> str | None:
        if self.speaker == "folder":
            return folders[-1] if folders else None
        if self.speaker == "prefix":
            return file.stem.replace("_", "-").split("-")[0] or None
        return None
