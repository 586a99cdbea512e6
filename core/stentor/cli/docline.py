"""The one-line documentation and the place of a class, read from its source without importing it."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from functools import cache

from stentor.errors import StentorError


def docline(target: str) -> str:
    """First line of the docstring of ``package.module:Class``; empty when it cannot be found without importing."""
    module, _, name = target.partition(":")
    found = re.search(
        rf"^class {re.escape(name)}\b[^\n:]*(?:\([^)]*\))?\s*:\s*\n\s+[rR]?(?:\"\"\"|''')\s*(.*?)\s*(?:\n|\"\"\"|''')",
        _source(module),
        re.MULTILINE,
    )
    return found.group(1) if found else ""


def line_of(target: str) -> int:
    """The line on which the class begins; 1 when it is not found."""
    module, _, name = target.partition(":")
    found = re.search(rf"^(?:class|def) {re.escape(name)}\b", _source(module), re.MULTILINE)
    return _source(module).count("\n", 0, found.start()) + 1 if found else 1


def file_of(module: str) -> str:
    """The source file of a module, or an empty string; imports nothing, parent packages included."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    if not rest:
        return spec.origin or ""
    return _below(spec.submodule_search_locations or (), rest)


def _below(folders: Sequence[str], parts: Sequence[str]) -> str:
    for folder in folders:
        base = os.path.join(folder, *parts)
        for path in (f"{base}.py", os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                return path
    return ""


@cache
def _source(module: str) -> str:
    path = file_of(module)
    if not path.endswith(".py"):
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise StentorError(f"the source of '{module}' cannot be read: {error}.", path=path) from error
