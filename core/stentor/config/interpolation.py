"""Interpolation of other keys, ``${train.lr}``; anything that could run code or read the environment is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stentor.errors import Problem, near_match

_KEY = re.compile(r"(?<!\\)\$\{\s*(\.*[\w\-]+(?:\.[\w\-]+|\[\d+\])*)\s*\}")
_ANY = re.compile(r"(?<!\\)\$\{")


def fault_in(text: str) -> str:
    """Why `text` is refused, or an empty string; ``\\${`` stands for the characters themselves."""
    rest = _KEY.sub("", text)
    if not _ANY.search(rest):
        return ""
    if ":" in rest:
        return (
            f"'{text}' calls a resolver, which is refused: it could run code or read the environment. "
            "Only other keys can be interpolated, e.g. ${seed}."
        )
    return f"'{text}' is no interpolation of another key such as ${{seed}}."


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every string in plain data."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from strings(item, f"{path}[{index}]")


class Resolver:
    """Puts values in place of interpolations, in plain data; what cannot be resolved becomes a `Problem`."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.problems: list[Problem] = []

    def resolve(self) -> dict[str, Any]:
        resolved: dict[str, Any] = self._value(self.root, "", ())
        return resolved

    def _value(self, value: Any, path: str, visiting: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._value(item, f"{path}.{key}" if path else key, visiting) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item, f"{path}[{index}]", visiting) for index, item in enumerate(value)]
        return self._text(value, path, visiting) if isinstance(value, str) else value

    def _text(self, text: str, path: str, visiting: tuple[str, ...]) -> Any:
        if "${" not in text:
            return text
        fault = fault_in(text)
        if fault:
            return self._refuse(path, text, fault)
        whole = _KEY.fullmatch(text)
        if whole:
            return self._look_up(whole.group(1), path, text, visiting)
        return _KEY.sub(lambda found: self._inserted(found.group(1), path, text, visiting), text).replace("\\${", "${")

    def _inserted(self, key: str, path: str, text: str, visiting: tuple[str, ...]) -> str:
        value = self._look_up(key, path, text, visiting)
        return ("true" if value else "false") if isinstance(value, bool) else str(value)

    def _look_up(self, key: str, path: str, text: str, visiting: tuple[str, ...]) -> Any:
        wanted = _absolute(key, path)
        circle = (*visiting, path)
        if any(_overlaps(wanted, above) for above in circle):
            return self._refuse(path, text, f"it refers to itself: {' -> '.join((*circle, wanted))}.")
        value: Any = self.root
        for part in re.findall(r"[^.\[\]]+", wanted):
            try:
                value = value[int(part)] if isinstance(value, list | tuple) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                options = tuple(_keys(self.root))
                self.problems.append(
                    Problem(
                        f"'{text}' refers to '{wanted}', which does not exist.",
                        path,
                        text,
                        suggestion=_near(wanted, options),
                    )
                )
                return None
        return self._value(value, wanted, circle)

    def _refuse(self, path: str, text: str, message: str) -> None:
        self.problems.append(Problem(message, path, text))


def _near(wanted: str, options: tuple[str, ...]) -> str | None:
    near = near_match(wanted, options)
    return f"Did you mean '${{{near}}}'?" if near else None


def _absolute(key: str, path: str) -> str:
    dots = len(key) - len(key.lstrip("."))
    if not dots:
        return key
    base = path.split(".")
    return ".".join([*base[: max(len(base) - dots, 0)], key.lstrip(".")])


def _overlaps(wanted: str, above: str) -> bool:
    return above == wanted or above.startswith((f"{wanted}.", f"{wanted}["))


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}" if path else str(key)
            yield below
            yield from _keys(item, below)
