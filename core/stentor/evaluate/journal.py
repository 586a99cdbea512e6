"""What has been decoded so far, kept beside the result so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stentor.data.atomic import replacing, writing
from stentor.errors import StentorError

Row = dict[str, Any]


def check_name(name: str) -> str:
    """`name`, if it can name a set and its file.

    Raises:
        StentorError: for anything but letters, digits, dot, dash and underscore.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise StentorError(
            "a set's name is made of letters, digits, '.', '-' and '_'.", path="evaluate.sets", value=name
        )
    return name


def write_json(path: Path, data: Any) -> None:
    """Write `data` whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")


class Journal:
    """Decoded utterances of one set, one JSON line each, under the fingerprint of what decoded them.

    Args:
        folder: the run's ``evaluation`` folder.
        name: of the set.
        fingerprint: whatever decides the outputs; other outputs are not taken over.
    """

    def __init__(self, folder: Path, name: str, fingerprint: Mapping[str, Any]) -> None:
        self.result = folder / f"{check_name(name)}.json"
        self.path = folder / f"{name}.partial.jsonl"
        self.fingerprint = dict(fingerprint)
        self.rows: dict[str, Row] = {}

    def open(self, *, fresh: bool = False) -> dict[str, Row]:
        """What is there already, by utterance id, from the finished result or the partial one; nothing if `fresh`."""
        kept = [] if fresh else self._partial() or self.finished().get("utterances", [])
        self.rows = {row["id"]: row for row in kept if "unscored" not in row and "failure" not in row}
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            lines = [json.dumps({"fingerprint": self.fingerprint}), *map(json.dumps, self.rows.values())]
            temporary.write_text("\n".join(lines) + "\n", "utf-8")
        return self.rows

    def add(self, rows: Iterable[Row]) -> None:
        """Keep `rows` for good."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            for row in rows:
                self.rows[row["id"]] = row
                file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self, result: Mapping[str, Any]) -> None:
        """Write the finished result; the partial one goes."""
        write_json(self.result, {**result, "fingerprint": self.fingerprint})
        self.path.unlink(missing_ok=True)

    def finished(self) -> dict[str, Any]:
        """The finished result under the same fingerprint that is there already, else nothing."""
        try:
            told: dict[str, Any] = json.loads(self.result.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return told if told.get("fingerprint") == self.fingerprint else {}

    def _partial(self) -> list[Row]:
        try:
            lines = self.path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        rows = [row for row in map(_decoded, lines) if row]
        return rows[1:] if rows and rows[0].get("fingerprint") == self.fingerprint else []


def _decoded(line: str) -> Row | None:
    try:
        return json.loads(line)
    except ValueError:  # the line that was being written when the run stopped
        return None
