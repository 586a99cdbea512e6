"""Show what is installed, from which plugin, version and module; nothing is imported for it.

stentor list              all components
stentor list encoder      those of one kind
stentor list recipes      recipes; also: plugins, verbs, kinds
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from stentor.cli.docline import docline, file_of
from stentor.plugins import Plugins, installed
from stentor.registry import Origin

Row = dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("kind", nargs="?", help="a kind of component, or: recipes, plugins, verbs, kinds")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    rows = list(rows_of(arguments.kind, installed()))
    if arguments.json:
        import json

        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(table(rows)) if rows else f"there are no {arguments.kind or 'components'} installed")
    return 0


def rows_of(what: str | None, plugins: Plugins) -> Iterator[Row]:
    """One row for everything of `what`.

    Raises:
        StentorError: for a word that is neither a kind nor one of the other lists.
    """
    lists = {"recipes": _recipes, "plugins": _plugins, "verbs": _verbs, "kinds": _kinds}
    yield from lists[what](plugins) if what in lists else _components(what, plugins)


def table(rows: list[Row]) -> list[str]:
    """The rows as aligned lines under a heading, cut to the width of a terminal where there is one."""
    columns = list(rows[0])
    widths = [max(len(column), *(len(row[column]) for row in rows)) for column in columns]
    lines = [[column.upper() for column in columns], *([row[column] for column in columns] for row in rows)]
    texts = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    if not sys.stdout.isatty():
        return texts
    width = max(os.get_terminal_size().columns, 40)
    return [text if len(text) <= width else f"{text[: width - 1]}…" for text in texts]


def _components(kind: str | None, plugins: Plugins) -> Iterator[Row]:
    if kind is not None and kind not in {known.name for known in plugins.registry.kinds()}:
        from stentor.errors import StentorError

        options = [*(known.name for known in plugins.registry.kinds()), "kinds", "plugins", "recipes", "verbs"]
        raise StentorError(f"there is no kind '{kind}'.", value=kind, options=options)
    for entry in plugins.registry.entries(kind):
        yield {
            "kind": entry.kind,
            "name": entry.name,
            "plugin": _from(entry.origin),
            "module": entry.module,
            "what": docline(entry.target),
        }


def _recipes(plugins: Plugins) -> Iterator[Row]:
    origins = {origin.plugin: origin for origin in plugins.loaded}
    for name, path in sorted(plugins.recipes.items()):
        with path.open(encoding="utf-8", errors="replace") as file:
            first = file.readline().strip()
        what = first.lstrip("# ") if first.startswith("#") else ""
        yield {"recipe": name, "plugin": _from(origins[name.partition("/")[0]]), "file": str(path), "what": what}


def _plugins(plugins: Plugins) -> Iterator[Row]:
    for origin in plugins.loaded:
        yield {
            "plugin": origin.plugin,
            "distribution": origin.distribution,
            "version": origin.version,
            "state": "loaded",
        }
    for failure in plugins.failures:
        origin, why = failure.origin, str(failure).partition(" is left out: ")[2]
        yield {"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version,
               "state": f"left out: {why}"}  # fmt: skip


def _verbs(plugins: Plugins) -> Iterator[Row]:
    for name, verb in sorted(plugins.verbs.table.items()):
        yield {"verb": name, "plugin": _from(verb.origin), "module": verb.module, "what": verb.help}


def _kinds(plugins: Plugins) -> Iterator[Row]:
    for kind in plugins.registry.kinds():
        file = file_of(kind.interface.partition(":")[0])
        yield {"kind": kind.name, "plugin": _from(kind.origin), "interface": file or kind.interface, "what": kind.doc}


def _from(origin: Origin) -> str:
    return f"{origin.plugin} {origin.version}".strip()
