"""The contract of corpora."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected
from stentor.testing.contract import ComponentContract

_AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".gsm")


class CorpusContract(ComponentContract):
    """Checks for corpora.

    Override `write_source` for a corpus that reads files: put a small corpus of its format into the folder. A corpus
    that makes its own audio needs no source; where it can also take one, an override makes the checks use it.
    """

    kind = "corpus"

    def write_source(self, folder: Path) -> Path:
        """Write a small corpus of this format and return what the user would name: the folder, or a file in it."""
        self.skip(f"corpus '{self.name}' reads files; override write_source to give it some")

    @property
    def reads(self) -> bool:
        """Whether it is given a source."""
        return self.component_class.needs_source or type(self).write_source is not CorpusContract.write_source

    @contextmanager
    def corpora(self, count: int = 1, spoil: bool = False) -> Iterator[list[Any]]:
        """The corpus `count` times on one source, each with a workspace of its own.

        Args:
            count: how many.
            spoil: replace the source's first audio file with text.
        """
        with tempfile.TemporaryDirectory() as place:
            source = None
            if self.reads:
                (Path(place) / "source").mkdir()
                source = self.write_source(Path(place) / "source")
            if spoil:
                audio = sorted(file for file in Path(place).rglob("*") if file.suffix in _AUDIO)
                audio[0].write_bytes(b"this is no audio\n" * 99)
            workspaces = [Path(place) / f"workspace-{index}" for index in range(count)]
            for workspace in workspaces:
                workspace.mkdir()
            yield [self.component_class(source, workspace, **self.config) for workspace in workspaces]

    def wired(self) -> tuple[Any, ...]:
        """Paths that do not exist: building must not look at them."""
        nowhere = Path(tempfile.gettempdir()) / "stentor-contract-nowhere"
        return (nowhere if self.reads else None), nowhere / "workspace"

    def found(self, corpus: Any) -> list[tuple[Any, ...]]:
        """What the corpus yields, paths left out, with the content of the audio."""
        return [self.told(item) for item in corpus.items()]

    def told(self, item: Any) -> tuple[Any, ...]:
        if isinstance(item, Rejected):
            return ("rejected", item.reason.replace(tempfile.gettempdir(), ""))
        self.demand(isinstance(item, Item), f"it yields a {type(item).__name__}, not an Item or Rejected.")
        digest = sha256(Path(item.audio).read_bytes() if item.audio else b"").hexdigest()
        return (item.id, digest, item.text, item.speaker, item.language, item.split, item.start, item.duration)

    def test_items(self) -> None:
        """Ids are unique, audio exists, parts lie where parts can lie; `total` counts right when it counts."""
        with self.corpora() as (corpus,):
            total, items = corpus.total(), list(corpus.items())
            good = [item for item in items if isinstance(item, Item)]
            self.demand(bool(good), f"a sound source gives no item, but {items[:1]}.")
            self.demand(len({item.id for item in good}) == len(good), "ids repeat.")
            for item in good:
                there = Path(item.audio).is_file() if item.audio else bool(item.text)
                self.demand(there, f"the audio of '{item.id}' does not exist: {item.audio}")
                self.demand(item.start >= 0 and (item.duration is None or item.duration > 0),
                            f"'{item.id}' starts at {item.start} s and lasts {item.duration} s.")  # fmt: skip
        self.demand(total in (None, len(items)), f"total() is {total}, it yields {len(items)}.")

    def test_deterministic(self) -> None:
        """Twice the same source (or seed) gives the same items in the same order, audio included."""
        with self.corpora(2) as (first, second):
            one, two = self.found(first), self.found(second)
        self.demand(len(one) == len(two), f"it yields {len(one)} items, and {len(two)} the second time.")
        other = [index for index, pair in enumerate(zip(one, two, strict=True)) if pair[0] != pair[1]]
        self.demand(not other, f"item {other[:1]} differs the second time.")

    def test_bad_audio(self) -> None:
        """One file that is no audio costs at most its own item, and raises nothing."""
        if not self.reads:
            self.skip("it makes its own audio")
        with self.corpora() as (sound,), self.corpora(spoil=True) as (spoilt,):
            whole = sum(isinstance(item, Item) for item in sound.items())
            left = sum(isinstance(item, Item) for item in spoilt.items())
        self.demand(left >= whole - 1, f"one bad file of {whole} leaves {left} items.")

    def test_missing_source(self) -> None:
        """A source that does not exist is refused in words."""
        if not self.reads:
            self.skip("it makes its own audio")
        with tempfile.TemporaryDirectory() as place:
            gone = Path(place) / "gone"
            try:
                items = list(self.component_class(gone, Path(place), **self.config).items())
            except StentorError as error:
                self.demand("gone" in str(error), f"the error does not name the path: {error}")
            else:
                self.fail(f"a source that does not exist gives {len(items)} items and no error.")
