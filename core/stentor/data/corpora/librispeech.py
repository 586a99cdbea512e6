"""The LibriSpeech layout: ``SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`` with audio beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora import transcripts
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected


class LibriSpeech(Corpus):
    """LibriSpeech, LibriLight's labelled part and Multilingual LibriSpeech's like; the subset becomes the split.

    Args:
        subsets: which to take, e.g. ``dev-clean``; empty: all that are there.
        lower: whether the capital letters of the transcripts are made small.
        language: BCP-47 tag.
    """

    def __init__(
        self,
        source: Path,
        workspace: Path,
        *,
        subsets: tuple[str, ...] = (),
        lower: bool = False,
        language: str | None = "en",
    ) -> None:
        self.source = Path(source)
        self.subsets = tuple(subsets)
        self.lower = lower
        self.language = language

    def items(self) -> Iterator[Item | Rejected]:
        chapters = sorted(self.source.resolve().rglob("*.trans.txt"))
        there = {chapter.parents[2].name for chapter in chapters}
        if not chapters:
            raise StentorError("no SUBSET/SPEAKER/CHAPTER/*.trans.txt lies below it.", path=str(self.source))
        for subset in self.subsets:
            if subset not in there:
                raise StentorError("there is no such subset.", path=str(self.source), value=subset,
                                   options=sorted(there))  # fmt: skip
        genders = self._genders()
        for chapter in chapters:
            if not self.subsets or chapter.parents[2].name in self.subsets:
                yield from self._chapter(chapter, genders)

    def _chapter(self, chapter: Path, genders: dict[str, str]) -> Iterator[Item | Rejected]:
        files = {file.stem: file for file in transcripts.audio_files(chapter.parent)}
        for line in transcripts.table(chapter, spaces=True):
            if isinstance(line, Rejected):
                yield line
                continue
            name, text = line
            speaker = chapter.parents[1].name
            yield Item(
                id=name,
                audio=files.pop(name, chapter.with_name(f"{name}.flac")),
                text=text.lower() if self.lower else text,
                speaker=speaker,
                language=self.language,
                split=chapter.parents[2].name,
                custom={"gender": genders[speaker]} if speaker in genders else {},
            )
        for file in files.values():
            yield Rejected(str(file), f"no text: {chapter.name} does not name it")

    def _genders(self) -> dict[str, str]:
        """Speaker -> ``F`` or ``M``, from SPEAKERS.TXT if it is there."""
        place = self.source.resolve()
        places = [folder / "SPEAKERS.TXT" for folder in (place, place / "LibriSpeech", *place.parents[:3])]
        genders = {}
        for line in next((transcripts.lines(path) for path in places if path.is_file()), ()):
            fields = [] if isinstance(line, Rejected) else [field.strip() for field in line[1].split("|")]
            if len(fields) > 2 and fields[1] in ("F", "M"):
                genders[fields[0]] = fields[1]
        return genders
