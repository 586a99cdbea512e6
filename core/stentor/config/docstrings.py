"""Reads Google-style docstrings: the summary line and what is said of each argument."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^(Args|Arguments|Attributes|Parameters):\s*$")
_ENTRY = re.compile(r"^(\w+(?:\s*,\s*\w+)*)\s*(?:\([^)]*\))?:\s*(.*)$")


def first_line(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((doc or "").strip().split("\n\n", maxsplit=1)[0].split())


def argument_docs(doc: str | None) -> dict[str, str]:
    """What the ``Args:`` and ``Attributes:`` sections of a cleaned docstring say, by name."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside, margin = False, 0
    for line in (doc or "").splitlines():
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if text and indent == 0:
            inside, margin, names = bool(_SECTION.match(text)), 0, []
            continue
        if not inside or not text:
            continue
        margin = margin or indent
        entry = _ENTRY.match(text) if indent == margin else None
        if entry:
            names = [name.strip() for name in entry.group(1).split(",")]
            found.update(dict.fromkeys(names, entry.group(2)))
        else:
            found.update({name: f"{found[name]} {text}".strip() for name in names})
    return found
