"""Which types a setting may have, and how they are called in a message."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from stentor.config.reference import ComponentOf, NameOf

SCALARS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}
LISTS = (list, Sequence)
MAPPINGS = (dict, Mapping)


def reference(hint: Any) -> ComponentOf | None:
    """The component reference that an annotation carries, if any."""
    if get_origin(hint) is Annotated:
        return next((mark for mark in hint.__metadata__ if isinstance(mark, ComponentOf)), None)
    return None


def named(hint: Any) -> NameOf | None:
    """The mark that an annotation carries if its value is the name of a component, if any."""
    if get_origin(hint) is Annotated:
        return next((mark for mark in hint.__metadata__ if isinstance(mark, NameOf)), None)
    return None


def bare(hint: Any) -> Any:
    """The annotation without its metadata."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def is_dataclass(hint: Any) -> bool:
    """Whether the type is a dataclass, whose fields are checked one by one."""
    return dataclasses.is_dataclass(hint) and isinstance(hint, type)


def is_union(hint: Any) -> bool:
    """Whether the type is a union, ``None`` among its arms or not."""
    return get_origin(hint) in (Union, types.UnionType)


def fault_in(hint: Any) -> str:
    """Why values of this type cannot be checked, or an empty string."""
    if reference(hint):
        return ""
    hint = bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in SCALARS or origin is Literal or is_dataclass(hint):
        return ""
    if is_union(hint):
        return next((fault for fault in map(fault_in, arguments) if fault), "")
    if origin in (*LISTS, tuple):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        return next((fault for fault in map(fault_in, inner) if fault), "")
    if origin in MAPPINGS:
        return fault_in(arguments[1]) if arguments[0] is str else "a mapping whose keys are not text"
    return f"of type '{_raw(hint)}'"


def name_of(hint: Any) -> str:
    """The type as it is shown to a user, e.g. ``int | null`` or ``list[encoder]``."""
    mark = reference(hint)
    if mark:
        return mark.kind
    hint = bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is type(None):
        return "null"
    if origin is Literal:
        return " | ".join(repr(argument) for argument in arguments)
    if is_union(hint):
        return " | ".join(map(name_of, arguments))
    if origin is not None:
        inner = ", ".join("..." if argument is Ellipsis else name_of(argument) for argument in arguments)
        return f"{getattr(origin, '__name__', origin)}[{inner}]".replace("Sequence", "list").replace("Mapping", "dict")
    return _raw(hint)


def wanted(hint: Any) -> str:
    """The type in plain words, for `... must be X`."""
    plain = bare(hint)
    if reference(hint):
        return f"the name of {article(name_of(hint))}, or a mapping with 'name'"
    if plain in SCALARS:
        return SCALARS[plain]
    if is_union(plain):
        return " or ".join(dict.fromkeys(map(wanted, get_args(plain))))
    origin = get_origin(plain)
    if origin is Literal:
        return f"one of {name_of(plain)}"
    shape = "a list" if origin in (*LISTS, tuple) else "a mapping"
    return f"{shape} ({name_of(plain)})"


def article(noun: str) -> str:
    """The noun with its article: ``an encoder``."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _raw(hint: Any) -> str:
    return hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint).removeprefix("typing."))
