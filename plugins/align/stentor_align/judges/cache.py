"""Answers of judges on disk, so that no question is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from stentor.errors import StentorError

_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"


class AnswerCache:
    """Question -> answer in a SQLite file that several threads and processes may share; without a path it holds none.

    Args:
        path: of the file; empty: no cache.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def get(self, **asked: Any) -> str | None:
        """The answer to what was `asked`, if it is known.

        Raises:
            StentorError: when the file cannot be read.
        """
        if not self.path:
            return None
        with self._open() as database:
            row = database.execute("SELECT answer FROM answers WHERE key = ?", (_key(asked),)).fetchone()
        return None if row is None else str(row[0])

    def put(self, answer: str, **asked: Any) -> None:
        """Keep the answer to what was `asked`.

        Raises:
            StentorError: when the file cannot take it.
        """
        if self.path:
            with self._open() as database:
                database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (_key(asked), answer))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = Path(self.path).expanduser()
        try:
            with opened(path, _TABLE) as database:
                yield database
        except (sqlite3.Error, OSError, UnicodeError) as cause:
            raise StentorError(f"the cache of answers cannot be used: {cause}.", path=str(path)) from cause


@contextmanager
def opened(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    """A SQLite file with a table, made if need be; the block is one transaction.

    Args:
        path: of the file.
        table: the statement that makes the table where there is none.

    Raises:
        sqlite3.Error: when it is no such file, or is locked for half a minute.
        OSError: when its folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(table)
        yield database


def _key(asked: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
