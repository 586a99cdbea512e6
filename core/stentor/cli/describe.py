"""Show a component's signature, defaults and documentation; a kind's contract; or a recipe with every default.

stentor describe encoder conformer
stentor describe encoder
stentor describe asr/speechlm encoder=conformer
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence

from stentor.cli.docline import file_of, line_of
from stentor.errors import StentorError
from stentor.plugins import installed
from stentor.registry import Entry, Kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", help="a kind of component, or a recipe")
    parser.add_argument("more", nargs="*", help="the component's name, or overrides of the recipe")


def run(arguments: argparse.Namespace) -> int:
    """Print the description."""
    plugins = installed()
    kinds = {kind.name: kind for kind in plugins.registry.kinds()}
    if arguments.what not in kinds:
        if arguments.what not in plugins.recipes and not arguments.what.endswith((".yaml", ".yml")):
            options = [*kinds, *sorted(plugins.recipes)]
            raise StentorError(f"there is no kind or recipe '{arguments.what}'.", value=arguments.what, options=options)
        print("\n".join(_recipe(arguments.what, arguments.more)))
    elif arguments.more:
        for name in arguments.more:
            print("\n".join(_component(plugins.registry.get(arguments.what, name))))
    else:
        print("\n".join(_kind(kinds[arguments.what], plugins.registry.names(arguments.what))))
    return 0


def _component(entry: Entry) -> list[str]:
    from stentor.config import schema

    found = schema.of(entry)
    lines = [f"{entry.kind} {entry.name}", f"  {entry.origin}", f"  {_place(entry.target)}", "", *_indented(found.doc)]
    if found.wired:
        lines += ["", "wired: decided by its neighbours", *_fields(found.wired)]
    lines += ["", f"configured: {entry.kind}.KEY=VALUE", *(_fields(found.configured) or ["  (nothing)"])]
    capabilities = sorted(getattr(entry.load(), "capabilities", ()))
    return [*lines, "", f"capabilities: {', '.join(capabilities) or 'none beyond the minimum'}"]


def _fields(fields: Sequence[object]) -> list[str]:
    from stentor.config.schema import Field

    rows = []
    for field in fields:
        assert isinstance(field, Field)
        default = "required" if field.required else f"= {field.default!r}"
        rows.append((field.name, field.type_name, default, field.doc))
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    return [f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip() for row in rows]


def _kind(kind: Kind, names: Sequence[str]) -> list[str]:
    interface = Entry("interface", kind.name, kind.interface, kind.origin).load()
    lines = [f"kind {kind.name}: {kind.doc}", f"  {kind.origin}", f"  {_place(kind.interface)}", ""]
    lines += _indented(inspect.getdoc(interface) or "")
    for name, member in vars(interface).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        must = "must" if getattr(member, "__isabstractmethod__", False) else "may"
        signature = str(inspect.signature(function)).replace("'", "")
        lines += ["", f"  {name}{signature}   ({must} be implemented)"]
        lines += _indented(inspect.getdoc(function) or "", "      ")
    return [*lines, "", f"installed: {', '.join(names) or 'none'}"]


def _recipe(recipe: str, overrides: Sequence[str]) -> list[str]:
    from stentor.config import compose

    path = installed().recipes.get(recipe, recipe)
    return [f"# {recipe}: {path}, with every default filled in", compose(recipe, overrides).to_yaml().rstrip()]


def _place(target: str) -> str:
    module = target.partition(":")[0]
    return f"{target}  ({file_of(module) or module}:{line_of(target)})"


def _indented(text: str, margin: str = "  ") -> list[str]:
    return [f"{margin}{line}".rstrip() for line in text.splitlines()]
