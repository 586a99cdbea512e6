"""The acted dialogues of the game Fish Fillets, in Czech and Dutch, with English translations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stentor.data.corpora.debian import fetch_package
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

_ROOT = "usr/share/games/fillets-ng"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_ENTRY = re.compile(rf"dialogId\({_QUOTED},\s*{_QUOTED},\s*{_QUOTED}\)\s*dialogStr\({_QUOTED}\)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One line of a script: its id (also the name of its sound), who says it, translation and text."""

    id: str
    role: str
    english: str
    text: str


class Fillets(Corpus):
    """Dialogue between two fish and others: about 97 minutes of Czech and 91 of Dutch, 22 and 44 kHz, GPL-2+.

    Args:
        source: root that holds the unpacked packages, ``/`` where they are installed; None fetches them.
        workspace: where to fetch them to.
        language: ``cs`` or ``nl``.
    """

    needs_source = False

    def __init__(self, source: Path | None, workspace: Path, *, language: Literal["cs", "nl"] = "cs") -> None:
        self._source, self._workspace, self._language = source, Path(workspace), language

    def items(self) -> Iterator[Item | Rejected]:
        scripts, sounds = (self._root(name) for name in ("fillets-ng-data", f"fillets-ng-data-{self._language}"))
        files = sorted(scripts.glob(f"script/*/*dialogs_{self._language}.lua"))
        if not files:
            raise StentorError("no scripts of package fillets-ng-data.", path=str(scripts / "script"))
        found = {path.stem: path for path in sorted(sounds.glob(f"sound/**/{self._language}/*.ogg"))}
        for file in files:
            for line in read_script(file):
                yield self._item(file.parent.name, line, found.pop(line.id, None))
        for name in sorted(found):
            yield Rejected(name, "a sound without a line in the scripts")

    def _root(self, package: str) -> Path:
        return Path(self._source or fetch_package(package, self._workspace)) / _ROOT

    def _item(self, scene: str, line: Line, audio: Path | None) -> Item | Rejected:
        if audio is None:
            return Rejected(f"{scene}/{line.id}", "a line without a sound")
        known = {"scene": scene, "role": line.role, "english": line.english, "licence": "GPL-2+"}
        name = f"{self._language}-{scene}-{line.id}"
        return Item(name, audio, line.text, line.role or None, self._language, custom=known)


def read_script(file: Path) -> list[Line]:
    """The lines of a ``dialogs_*.lua``: pairs of ``dialogId(id, font, English)`` and ``dialogStr(text)``."""
    entries = _ENTRY.findall(file.read_text("utf-8", errors="replace"))
    return [Line(id, font.removeprefix("font_"), _plain(english), _plain(text)) for id, font, english, text in entries]


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", re.sub(r"\s*\n\s*", " ", quoted)).strip()
