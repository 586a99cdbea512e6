"""The LJSpeech layout: ``metadata.csv`` with lines ``name|text|normalised text`` and ``wavs/name.wav``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora import transcripts
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected


class LJSpeech(Corpus):
    """LJSpeech and the many single-voice corpora that copy its layout.

    Args:
        normalised: whether to take the third field, where numbers and abbreviations are written out.
        speaker: name of the one speaker.
        language: BCP-47 tag.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        normalised: bool = True,
        speaker: str | None = "LJ",
        language: str | None = "en",
    ) -> None:
        self.source = Path(source)
        self.normalised = normalised
        self.speaker = speaker
        self.language = language

    def items(self) -> Iterator[Item | Rejected]:
        path = self.source / "metadata.csv"
        if not path.is_file():
            raise StentorError("metadata.csv is missing there.", path=str(self.source))
        folder = self.source / "wavs" if (self.source / "wavs").is_dir() else self.source
        files = {file.stem: file for file in transcripts.audio_files(folder)}
        for line in transcripts.lines(path):
            yield line if isinstance(line, Rejected) else self._item(path, *line, folder, files)

    def _item(self, path: Path, number: int, line: str, folder: Path, files: dict[str, Path]) -> Item | Rejected:
        name, *texts = (field.strip() for field in line.split("|"))
        texts = [text for text in texts if text]
        if not name or not texts:
            return Rejected(f"{path}:{number}", "a line is name|text|normalised text")
        text = texts[-1] if self.normalised else texts[0]
        name = Path(name).stem if Path(name).suffix.lower() == ".wav" else name
        audio = files.get(name, folder / f"{name}.wav")
        return Item(name, audio, text, self.speaker, self.language)
