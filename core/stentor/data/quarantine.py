"""Bad items: what is left out, where it was and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from stentor.data.atomic import replacing
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected


def category(reason: str) -> str:
    """The part of a reason that many items share: up to the first colon, number or quotation."""
    for position, letter in enumerate(reason):
        if letter in ":;'\"(" or letter.isdigit():
            return reason[:position].strip() or reason
    return reason.strip().rstrip(".")


def reason(cause: BaseException) -> str:
    """An exception as a reason: what is wrong first, as that is what many items share (`category`), then where; of what
    is no bad input the type and its sentence."""
    if not isinstance(cause, StentorError):
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
    first = cause.problems[0]
    return f"{replace(first, path='', source='')}{f' ({first.path})' if first.path else ''}"


def by_reason(rejected: Iterable[Rejected]) -> dict[str, int]:
    """How many were left out for each reason, most frequent first."""
    counts = Counter(category(one.reason) for one in rejected)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def write(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write ``quarantine.jsonl``: one line ``{"where", "reason"}`` for each."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
        for one in rejected:
            file.write(json.dumps({"where": one.where, "reason": one.reason}, ensure_ascii=False) + "\n")


def read(path: Path) -> Iterator[Rejected]:
    """What `write` wrote."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield Rejected(row["where"], row["reason"])
