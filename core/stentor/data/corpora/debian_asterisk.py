"""The English prompts of the Asterisk telephone exchange, real speech of one woman."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora.debian import fetch_package
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

PACKAGE = "asterisk-core-sounds-en-wav"
_FOLDER = "usr/share/asterisk/sounds/en_US_f_Allison"
_LICENCE = "CC BY-SA 3.0 (Digium, voice of Allison Smith)"


class Asterisk(Corpus):
    """568 telephone prompts at 8 kHz, 25 minutes, CC BY-SA 3.0.

    The package has no transcripts. With `transcripts`, prompts that it does not list are rejected; without, all items
    come without text.

    Args:
        source: root that holds the unpacked package, ``/`` where it is installed; None fetches it.
        workspace: where to fetch it to.
        transcripts: Asterisk's ``core-sounds-en.txt``: lines ``name: text``, comments after ``;``.
        split: what the prompts are for; ``all`` lets ``--split`` set some of them apart from training.
    """

    needs_source = False

    def __init__(
        self, source: Path | None, workspace: Path, *, transcripts: str | None = None, split: str = "test"
    ) -> None:
        self._source, self._workspace, self._transcripts, self._split = source, Path(workspace), transcripts, split

    def items(self) -> Iterator[Item | Rejected]:
        texts = None if self._transcripts is None else read_transcripts(Path(self._transcripts))
        folder = Path(self._source or fetch_package(PACKAGE, self._workspace)) / _FOLDER
        if not folder.is_dir():
            raise StentorError(f"no prompts of package {PACKAGE}.", path=str(folder))
        for audio in sorted(folder.rglob("*.wav")):
            name = audio.relative_to(folder).with_suffix("").as_posix()
            if texts is not None and name not in texts:
                yield Rejected(name, f"no line '{name}: ...' in {self._transcripts}")
                continue
            yield Item(name.replace("/", "-"), audio, texts[name] if texts else None, "allison", "en", self._split,
                       custom={"licence": _LICENCE})  # fmt: skip


def read_transcripts(file: Path) -> dict[str, str]:
    """Prompt name -> text of a ``core-sounds-en.txt``.

    Raises:
        StentorError: when there is no such file or no line has the form ``name: text``.
    """
    if not file.is_file():
        raise StentorError("there is no such file of transcripts.", path="corpus.transcripts", value=str(file))
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(";")]
    pairs = (line.partition(":") for line in lines if ":" in line)
    texts = {name.strip(): text.strip() for name, _, text in pairs if text.strip()}
    if not texts:
        raise StentorError("no line of the form 'name: text'.", path=str(file))
    return texts
