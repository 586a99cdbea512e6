"""Answers of judges on disk, so that no question is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
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
        """The answer to what was `asked`, if it is known."""
        if not self.path:
            return None
        with self._open() as database:
            row = database.execute("SELECT answer FROM answers WHERE key = ?", (_key(asked),)).fetchone()
        return None if row is None else str(row[0])

    def put(self, answer: str, **asked: Any) -> None:
        """Keep the answer to what was `asked`."""
        if self.path:
            with self._open() as database:
                database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (_key(asked), answer))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = Path(self.path).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=30)
            try:
                with database:
                    database.execute(_TABLE)
                    yield database
            finally:
                database.close()
        except (sqlite3.Error, OSError) as cause:
            raise StentorError(f"the cache of answers cannot be used: {cause}.", path=str(path)) from cause


def _key(asked: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
