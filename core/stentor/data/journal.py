"""What has been examined already, kept on disk line by line, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from stentor.data.atomic import writing
from stentor.data.verify import Examined

_FLUSH_SECONDS = 1.0


class Journal:
    """A dictionary from `verify.key` to `Examined` that survives a kill; a torn last line is forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = dict(_read(path)) if path.is_file() else {}
        self._flushed = time.monotonic()

    def __enter__(self) -> Journal:
        with writing(self.path):
            self._file = open(self.path, "a", encoding="utf-8")
            self._file.write("\n")
        return self

    def get(self, key: str) -> Examined | None:
        return self._known.get(key)

    def add(self, key: str, found: Examined) -> None:
        self._known[key] = found
        with writing(self.path):
            self._file.write(json.dumps([key, asdict(found)]) + "\n")
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._file.flush()
                self._flushed = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.path):
            self._file.close()


def _read(path: Path) -> list[tuple[str, Examined]]:
    known = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                key, found = json.loads(line)
                known.append((str(key), Examined(**found)))
            except (ValueError, TypeError):
                continue  # a blank or torn line: the item is examined again
    return known
