"""Results of takes on the disk, line by line: a kill loses what was being worked on, the memory holds only places."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from stentor.data.atomic import writing

_BYTES = 12
"""Of a key that are kept to find it by."""


class Journal:
    """A dictionary from text to plain data that only grows; a torn last line is forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[bytes, int] = {}

    def __enter__(self) -> Journal:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")
            self._file.seek(0)
            place = 0
            for line in self._file:
                if line.endswith(b"\n") and (key := _key(line)):
                    self._places[_short(key)] = place
                place += len(line)
            if place and not line.endswith(b"\n"):
                self._file.write(b"\n")
        return self

    def __contains__(self, key: str) -> bool:
        return _short(key) in self._places

    def add(self, key: str, told: Any) -> None:
        """Keep `told` for good."""
        with writing(self.path):
            self._file.seek(0, 2)
            self._places[_short(key)] = self._file.tell()
            self._file.write(json.dumps([key, told], ensure_ascii=False).encode(errors="replace") + b"\n")
            self._file.flush()

    def get(self, key: str) -> Any:
        """What was told under a key that is there."""
        self._file.seek(self._places[_short(key)])
        return json.loads(self._file.readline())[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.path):
            self._file.close()


def _short(key: str) -> bytes:
    return key.encode()[: 2 * _BYTES]


def _key(line: bytes) -> str:
    try:
        key, _ = json.loads(line)
    except (ValueError, TypeError):
        return ""
    return str(key)
