"""What benchmarks printed, as a table: python benchmarks/shared/table.py FILE [FILE ...]

Files hold the JSON lines of `shared.toys.tell`, as `python benchmarks/alignment_deaf.py > deaf.jsonl` leaves them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HEAD = ("figure", "value", "by seed", "prompts", "target", "")


def rows(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """One row of a Markdown table for each figure."""
    found = [f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|"]
    for line in lines:
        bounds = f" [{line['low']:.3g}, {line['high']:.3g}]" if line["low"] == line["low"] else ""
        seeds = ", ".join(f"{value:.3g}" for value in line["seeds"])
        met = {True: "met", False: "MISSED", None: ""}[line.get("met")]
        cells = [line["figure"], f"{line['value']:.3g}{bounds}", seeds, str(line.get("prompts", ""))]
        found.append(f"| {' | '.join([*cells, line.get('target', ''), met])} |")
    return found


def main() -> None:
    for path in sys.argv[1:]:
        lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        print("\n".join([f"### {Path(path).stem}", "", *rows(lines), ""]))


if __name__ == "__main__":
    main()
