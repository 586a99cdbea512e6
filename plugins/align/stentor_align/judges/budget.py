"""What may still be asked of a judge that costs money, over all processes and all starts of a run."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from stentor.errors import StentorError
from stentor_align.judges.cache import opened

_TABLE = "CREATE TABLE IF NOT EXISTS spent (whom TEXT PRIMARY KEY, requests INTEGER NOT NULL)"
_COUNT = "INSERT INTO spent VALUES (?, 1) ON CONFLICT (whom) DO UPDATE SET requests = requests + 1 WHERE requests < ?"


class Budget:
    """Counts requests before they are sent, in a SQLite file; each is one transaction, so that two processes never take
    the last one both, and a kill forgets none.

    The file is beside the cache of answers and has its name, with ``.spent`` behind it: everybody who shares the cache
    shares the budget, and who deletes the file begins it anew. Without a cache there is nowhere to keep it: then each
    process, and each start of it, has a budget of its own.

    Args:
        most: requests in all; 0: any number, and nothing is counted.
        cache: path of the cache; empty: none.
        whom: who is asked; of each a count of its own is kept.
    """

    def __init__(self, most: int, cache: str, whom: str) -> None:
        self.most, self.whom = most, whom
        self.path = str(Path(cache).expanduser()) + ".spent" if cache else ""
        self._here = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def take(self) -> bool:
        """Count one request more; False, and nothing counted, where the budget is spent.

        Raises:
            StentorError: when the file cannot be read or written.
        """
        if not self.most:
            return True
        with self._lock:
            if self.path:
                return self._counted()
            if self._here >= self.most:
                return False
            self._here += 1
            return True

    def _counted(self) -> bool:
        try:
            with opened(Path(self.path), _TABLE) as database:
                return database.execute(_COUNT, (self.whom, self.most)).rowcount > 0
        except (sqlite3.Error, OSError) as cause:
            raise StentorError(f"what a judge has cost cannot be kept: {cause}.", path=self.path) from cause
