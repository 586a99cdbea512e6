"""Rows of a CSV, TSV or JSONL table as dictionaries; rows that cannot be read are put aside."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from stentor.data import jsonl
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected

Record = tuple[str, dict[str, Any]]
"""Where a row is (``file:line``) and what it holds."""
_MOST_LINES = 20
"""A quoted field that runs over more lines is a quotation mark that was never closed."""


def read(path: Path, *, columns: Sequence[str] = (), delimiter: str = "",
         quotes: bool | None = None) -> Iterator[Record | Rejected]:  # fmt: skip
    """Read a table; the suffix says whether it is JSONL, TSV or CSV.

    Args:
        path: the table.
        columns: names of the columns, if the first line does not hold them.
        delimiter: between fields; empty: a tab in ``.tsv``, else a comma.
        quotes: whether ``"`` quotes fields; None: in CSV but not in TSV.

    Raises:
        StentorError: when the file cannot be opened.
    """
    if not path.is_file():
        raise StentorError("there is no such table.", path=str(path))
    name = path.name.removesuffix(".gz").lower()
    if name.endswith((".jsonl", ".ndjson", ".json")):
        yield from _json(path)
        return
    tabs = delimiter == "\t" or (not delimiter and name.endswith((".tsv", ".tab")))
    yield from _csv(path, columns, delimiter or ("\t" if tabs else ","), not tabs if quotes is None else quotes)


def _json(path: Path) -> Iterator[Record | Rejected]:
    for number, line in jsonl.lines(path):
        where = f"{path}:{number}"
        try:
            row = jsonl.decoded(line)
        except jsonl.BadRow as bad:
            yield Rejected(where, str(bad))
            continue
        yield (where, row) if isinstance(row, dict) else Rejected(where, "the row is not a JSON object")


def _csv(path: Path, columns: Sequence[str], delimiter: str, quotes: bool) -> Iterator[Record | Rejected]:
    # surrogateescape keeps a line that is not UTF-8 readable, so that it alone is rejected
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        header = list(columns)
        for first, row in _rows(reader):
            where = f"{path}:{first}"
            if isinstance(row, str):
                yield Rejected(where, row)
            elif not header:
                header = [name.strip() for name in row]
            elif row:
                fault = _fault(row, header, reader.line_num - first)
                yield Rejected(where, fault) if fault else (where, dict(zip(header, row, strict=True)))


def _rows(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    while True:
        first = reader.line_num + 1
        try:
            yield first, next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            yield first, f"the line is not CSV: {cause}"


def _fault(row: list[str], header: list[str], more_lines: int) -> str:
    if more_lines > _MOST_LINES:
        return f"a quotation mark is not closed: the row swallows {more_lines} further lines"
    if len(row) != len(header):
        return f"wrong number of fields: {len(row)} instead of {len(header)}; is a delimiter in the text not quoted?"
    if any("\udc80" <= letter <= "\udcff" for field in row if not field.isascii() for letter in field):
        return "the text is not UTF-8"
    return ""
