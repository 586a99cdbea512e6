"""Files in TRL's format: their lines as rows, and rows as lines; what cannot be used is left out and told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stentor.data import jsonl, quarantine
from stentor.data.atomic import replacing
from stentor.data.jsonl import BadRow
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_align.preferences import trl


def read(path: Path) -> Iterator[Utterance | Rejected]:
    """The preferences of a file, ``.jsonl`` or ``.jsonl.gz``: its content decides.

    A line without ``id`` is called after file and line. An id that was there before gets a number behind it, since the
    pairs of one ranked list share theirs.

    Raises:
        StentorError: when the file cannot be opened.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    seen: set[str] = set()
    for number, line in jsonl.lines(path):
        try:
            row = trl.imported(jsonl.decoded(line), f"{stem}-{number}", seen)
        except StentorError as error:
            yield Rejected(f"{path}:{number}", quarantine.reason(error))
        except BadRow as bad:
            yield Rejected(f"{path}:{number}", str(bad))
        else:
            seen.add(row.id)
            yield row


def write(path: Path, rows: Iterable[Utterance]) -> tuple[int, list[Rejected]]:
    """Write the pairs of rows, gzipped if the name ends so; where there is none, nothing is written.

    Returns:
        how many pairs there are, and what was left out.

    Raises:
        StentorError: when the disk cannot take the file.
    """
    lines: list[bytes] = []
    dropped: list[Rejected] = []
    for row in rows:
        try:
            for one in trl.exported(row):
                dropped.append(one) if isinstance(one, Rejected) else lines.append(_line(one))
        except StentorError as error:
            dropped.append(Rejected(row.id, quarantine.reason(error)))
    if lines:
        content = b"".join(lines)
        with replacing(path) as temporary:
            temporary.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return len(lines), dropped


def _line(told: Mapping[str, Any]) -> bytes:
    # half of a pair of surrogates is no UTF-8; it is written as JSON has it: \\ud83d
    return json.dumps(told, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
