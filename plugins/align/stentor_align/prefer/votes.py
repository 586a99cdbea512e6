"""The log of votes: every vote is a line that is on the disk before anybody is told so."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stentor.data.atomic import sync, writing
from stentor.errors import StentorError

CHOICES = ("a", "b", "tie", "skip")


@dataclass(frozen=True)
class Vote:
    """What somebody said of a pair.

    Attributes:
        pair: id of the question.
        choice: one of `CHOICES`; a and b are sides as they were shown.
        rater: who voted, as the command line named them.
        tab: of the browser.
        ballot: one for each vote; what is sent again after a break is the same vote.
        time: when it was counted (UTC, ISO 8601).
    """

    pair: str
    choice: str
    rater: str = ""
    tab: str = ""
    ballot: str = ""
    time: str = ""


class Votes:
    """Votes on disk: a first line that says of what they are, then one line each; the last one of a pair counts.

    A line that a kill has torn was never answered for, and is cut off. One process at a time has the file.

    Args:
        path: of the file.
        identity: of the questions.

    Raises:
        StentorError: when another process has it, it holds votes on other questions, or it cannot be written.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self.last: dict[str, Vote] = {}
        self.unreadable = 0
        self._ballots: set[str] = set()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._open(json.dumps({"of": identity}))
        except BaseException:
            self.close()
            raise

    def _open(self, header: str) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system gives it back, however the process ends
        except BlockingIOError as cause:
            told = "another 'stentor prefer' has it open; stop that one, or name another file with -o."
            raise StentorError(told, path=str(self.path)) from cause
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        if lines and lines[0] != header:
            self._refuse_others(lines)
            lines = []
        with writing(self.path):
            os.ftruncate(self._file, len(whole) if lines else 0)
            if not lines:
                self._append(header)
                sync(self.path.parent)
        for vote in self._read(lines[1:]):
            self._count(vote)

    def _refuse_others(self, lines: list[str]) -> None:
        if list(self._read(lines[1:])):
            told = "it holds votes on other pairs (another source, seed or sampling); name another file with -o."
            raise StentorError(told, path=str(self.path))

    def _read(self, lines: list[str]) -> Iterator[Vote]:
        self.unreadable = 0
        for line in lines:
            try:
                yield Vote(**json.loads(line))
            except (ValueError, TypeError):
                self.unreadable += 1

    def add(self, **told: Any) -> Vote:
        """Count a vote, once it is on the disk; a ballot that is known is not counted again.

        Raises:
            StentorError: when the disk cannot take it: it is not counted then.
        """
        vote = Vote(**told, time=datetime.now(UTC).isoformat(timespec="milliseconds"))
        if not vote.ballot or vote.ballot not in self._ballots:
            with writing(self.path):
                self._append(json.dumps(asdict(vote), ensure_ascii=False))
            self._count(vote)
        return vote

    def _append(self, line: str) -> None:
        size = os.fstat(self._file).st_size
        data = line.encode() + b"\n"
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(28, "the disk took half of it")
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, size)  # half a line would spoil the next one
            raise

    def _count(self, vote: Vote) -> None:
        self.last[vote.pair] = vote
        self._ballots.add(vote.ballot)

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._file)
