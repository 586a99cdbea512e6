"""Five sentences of a LibriVox reading, the smallest real English recording with text that Debian carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora.debian import fetch_package
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

PACKAGE = "pocketsphinx-testdata"
_FOLDER = "usr/share/pocketsphinx/test/data/librivox"
_LINE = re.compile(r"<s>\s*(.*?)\s*</s>\s*\((.+)\)")


class Librivox(Corpus):
    """Jane Austen's "Sense and Sensibility", chapter 1, read for LibriVox (public domain): 5 clips, 16 kHz, 25 s.

    Args:
        source: root that holds the unpacked package, ``/`` where it is installed; None fetches it.
        workspace: where to fetch it to.
    """

    needs_source = False

    def __init__(self, source: Path | None, workspace: Path) -> None:
        self._source, self._workspace = source, Path(workspace)

    def total(self) -> int:
        return 5

    def items(self) -> Iterator[Item | Rejected]:
        folder = Path(self._source or fetch_package(PACKAGE, self._workspace)) / _FOLDER
        if not (folder / "transcription").is_file():
            raise StentorError(f"no file 'transcription' of package {PACKAGE}.", path=str(folder))
        for line in (folder / "transcription").read_text("utf-8").splitlines():
            match = _LINE.match(line)
            if match:
                audio = folder / f"{match.group(2)}.wav"
                yield Item(match.group(2), audio, match.group(1), "librivox", "en", "test",
                           custom={"licence": "public domain (LibriVox)"})  # fmt: skip
            elif line.strip():
                yield Rejected(f"{folder / 'transcription'}", f"not a transcript line: {line[:60]!r}")
