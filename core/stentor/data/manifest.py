"""Manifests: lhotse cuts, one JSON object a line, usually gzipped; bad rows are put aside and the rest goes on."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from stentor.data import jsonl
from stentor.data.atomic import replacing, writing
from stentor.data.jsonl import BadRow
from stentor.data.row import build, parse
from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.interfaces.corpus import Rejected

if TYPE_CHECKING:
    from lhotse import CutSet
    from lhotse.cut import Cut


class BadRows(UserWarning):
    """Rows of a manifest were left out."""


def rows(path: str | Path, *, check_audio: bool = True) -> Iterator[Utterance | Rejected]:
    """Read a manifest row by row; a bad row becomes a `Rejected` that says ``file:line`` and why.

    Args:
        path: ``.jsonl`` or ``.jsonl.gz``; the content decides.
        check_audio: whether an audio file that is not there makes a row bad.

    Raises:
        StentorError: when the file cannot be opened at all.
    """
    folder = os.path.dirname(os.path.abspath(path))
    seen: dict[str, int] = {}
    there: set[str] = set()
    for number, line in jsonl.lines(path):
        where = f"{path}:{number}"
        try:
            utterance = parse(jsonl.decoded(line), folder)
            if seen.setdefault(utterance.id, number) != number:
                raise BadRow(f"duplicate id: '{utterance.id}' is on line {seen[utterance.id]} already")
            if check_audio and utterance.audio and utterance.audio not in there:
                if not os.path.isfile(utterance.audio):
                    raise BadRow(f"missing audio: {utterance.audio}")
                there.add(utterance.audio)
        except BadRow as bad:
            yield Rejected(where, str(bad))
        else:
            yield utterance


def load(
    path: str | Path, *, check_audio: bool = True, report: Callable[[list[Rejected]], None] | None = None
) -> list[Utterance]:
    """All good rows of a manifest.

    Args:
        path: the manifest.
        check_audio: whether an audio file that is not there makes a row bad.
        report: gets the bad rows, if there are any; without it they are told in a `BadRows` warning.

    Raises:
        StentorError: when the file cannot be opened or holds no good row.
    """
    good: list[Utterance] = []
    bad: list[Rejected] = []
    for row in rows(path, check_audio=check_audio):
        good.append(row) if isinstance(row, Utterance) else bad.append(row)
    if not good:
        first = [Problem(one.reason, one.where) for one in bad[:3]]
        told = (
            f"none of its {len(bad)} rows can be used; the first reasons follow." if bad else "the manifest is empty."
        )
        raise StentorError(told, path=str(path), problems=first)
    if bad and report:
        report(bad)
    elif bad:
        told = f"{path}: {len(bad)} of {len(bad) + len(good)} rows are left out, first {bad[0].where}: {bad[0].reason}"
        warnings.warn(BadRows(told), stacklevel=2)
    return good


class Writer:
    """Writes a manifest row by row; it appears under its name only when the ``with`` block ends well.

    The same rows give the same bytes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._folder = os.path.dirname(os.path.abspath(path))

    def __enter__(self) -> Writer:
        self._replacing = replacing(self.path)
        temporary = self._replacing.__enter__()
        try:
            with writing(self.path):
                self._raw: IO[bytes] = open(temporary, "wb")
        except StentorError as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        zipped = self.path.suffix == ".gz"
        self._file: Any = gzip.GzipFile("", "wb", 5, self._raw, mtime=0) if zipped else self._raw
        return self

    def write(self, utterance: Utterance) -> None:
        line = json.dumps(build(utterance, self._folder), ensure_ascii=False, separators=(",", ":"))
        with writing(self.path):
            self._file.write(line.encode() + b"\n")

    def close(self) -> None:
        """Bring everything to the disk; the name still waits for the end of the ``with`` block."""
        with writing(self.path):
            self._file.close()
            self._raw.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StentorError as failed:
            if error is None:
                kind, error, trace = type(failed), failed, failed.__traceback__
        with suppress(OSError):
            self._raw.close()
        if not self._replacing.__exit__(kind, error, trace) and isinstance(error, StentorError):
            raise error


def save(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a whole manifest.

    Raises:
        StentorError: when the disk cannot take it; nothing is left half-written.
    """
    with Writer(path) as writer:
        for utterance in utterances:
            writer.write(utterance)


def fingerprint(path: str | Path) -> str:
    """SHA-256 (hex) over the manifest's lines, the same for gzipped and plain files.

    Raises:
        StentorError: when the file cannot be read to its end.
    """
    digest = hashlib.sha256()
    try:
        with jsonl.opened(path) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as cause:
        raise StentorError(f"the manifest is damaged: {cause}.", path=str(path)) from cause
    return digest.hexdigest()


def to_cut(utterance: Utterance) -> Cut:
    """The lhotse cut of an utterance."""
    from lhotse.serialization import deserialize_item

    return deserialize_item(build(utterance, os.sep + "nowhere"))


def from_cut(cut: Cut) -> Utterance:
    """The utterance of a lhotse cut with one supervision or none.

    Raises:
        StentorError: when the cut cannot be used.
    """
    try:
        return parse(cut.to_dict(), os.getcwd())
    except BadRow as bad:
        raise StentorError(f"{bad}.", path=cut.id) from bad


def cuts(path: str | Path) -> CutSet:
    """The good rows as a lazy lhotse `CutSet`, for lhotse's own samplers on sets too large for memory."""
    from lhotse import CutSet

    return CutSet(_LazyCuts(Path(path)))


class _LazyCuts:
    """Iterates over the manifest anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Any]:
        return (to_cut(row) for row in rows(self.path) if isinstance(row, Utterance))
