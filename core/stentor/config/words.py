"""Components and their options in words of the command line: ``key=value``, and ``name:key=value,key=value``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from stentor.config import schema, typing_rules
from stentor.config.checking import Checker
from stentor.errors import StentorError
from stentor.registry import Entry, Registry

_BETWEEN = re.compile(r",(?=[A-Za-z_]\w*=)")


def component(registry: Registry, kind: str, word: str) -> dict[str, Any]:
    """``name`` or ``name:key=value,key=value`` as the section ``{name, **options}``, every default filled in.

    Raises:
        StentorError: for an unknown component or option, or a value that is not of its type; all faults together.
    """
    name, _, rest = word.partition(":")
    return {"name": name, **options(registry, registry.get(kind, name), _BETWEEN.split(rest) if rest else ())}


def options(registry: Registry, entry: Entry, pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as the constructor's signature types them; all faults are told together.

    Raises:
        StentorError: for what the component does not take.
    """
    hints = {field.name: field.hint for field in schema.of(entry).configured}
    given: dict[str, Any] = {"name": entry.name}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise StentorError("an option is written name=value.", path=f"{entry.kind} {entry.name}", value=pair)
        given[name] = value(text, hints.get(name, str), name)
    checker = Checker(registry)
    checked = checker.component(given, entry.kind, entry.name)
    if checker.problems:
        raise StentorError(problems=checker.problems)
    return {name: value for name, value in checked.items() if name != "name"}


def value(text: str, hint: Any, name: str) -> Any:
    """A word of the command line as plain data: text where text is wanted, else what YAML makes of it."""
    hint = typing_rules.bare(hint)
    arms = get_args(hint) if typing_rules.is_union(hint) else (hint,)
    if text == "null" and type(None) in arms:
        return None
    if str in arms:
        return text
    if Path in arms:
        return Path(text)
    listed = arms[0] if isinstance(arms[0], type) else getattr(arms[0], "__origin__", None)
    if listed in (list, tuple) and not text.startswith("["):
        return [part.strip() for part in text.split(",")]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as cause:
        raise StentorError(f"'{text}' cannot be read as a value.", path=name, value=text) from cause
