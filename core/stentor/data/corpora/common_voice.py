"""The Common Voice layout: ``train.tsv``, ``dev.tsv``, ``test.tsv`` ... and ``clips/``, for one language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stentor.data.corpora import records, table
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

_COLUMNS = {"audio": "path", "text": "sentence", "speaker": "client_id", "language": "locale"}
_KEPT = ("age", "gender", "accents", "accent", "variant", "up_votes", "down_votes")


class CommonVoice(Corpus):
    """A language folder of Mozilla Common Voice; each list becomes a split of its name.

    Args:
        splits: which lists to take (``validated`` and ``other`` exist too); those of the default that are not there are
            passed over.
    """

    def __init__(self, source: Path, workspace: Path, *, splits: tuple[str, ...] = ("train", "dev", "test")) -> None:
        self.source = Path(source)
        self.splits = tuple(splits)

    def items(self) -> Iterator[Item | Rejected]:
        there = sorted(path.stem for path in self.source.glob("*.tsv"))
        taken = [split for split in self.splits if split in there]
        if not taken:
            told = "none of the lists lies there; SOURCE is the folder of one language."
            raise StentorError(told, path=str(self.source), value=",".join(self.splits), options=there)
        for split in taken:
            for row in records.read(self.source / f"{split}.tsv", quotes=False):
                yield row if isinstance(row, Rejected) else self._item(row, split)

    def _item(self, row: records.Record, split: str) -> Item | Rejected:
        where, given = row
        name = str(given.get("path") or "")
        if name and not Path(name).suffix:
            given = given | {"path": f"{name}.mp3"}
        chosen = {name: value for name, value in given.items() if name in _COLUMNS.values() or name in _KEPT}
        return table.item((where, chosen | {"split": split}), _COLUMNS | {"split": "split"}, self.source / "clips")
