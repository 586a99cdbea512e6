"""Reads one YAML file of plain data, and remembers on which line everything was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stentor.errors import Problem, StentorError

LARGEST_FILE = 1_000_000
MOST_NODES = 50_000
DEEPEST = 40

_TAG = "tag:yaml.org,2002:"
_PATTERNS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+)", list("-+0123456789")),
    "float": (
        r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9]+([eE][-+]?[0-9]+)?"
        r"|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}


def _add_resolvers(target: Any) -> None:
    target.yaml_implicit_resolvers = {}
    for name, (pattern, first) in _PATTERNS.items():
        target.add_implicit_resolver(_TAG + name, re.compile(rf"^(?:{pattern})$"), first)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: ``no`` and ``1:30`` are text, ``1e-4`` is a number."""


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back unchanged."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_add_resolvers(_Loader)
_add_resolvers(_Dumper)


def dump(data: dict[str, Any]) -> str:
    """YAML of plain data that `read` gives back unchanged, tuples as lists."""
    # characters beyond ASCII are escaped, for YAML takes some of them for line ends
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120))


@dataclass
class Document:
    """The data of a YAML file, the line of every key (by dotted path) and what was wrong with it."""

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: str) -> str:
        """``file.yaml:12``, the line on which `path`, or the nearest thing above it, was written."""
        while path and path not in self.lines:
            path = parent(path)
        return f"{self.path.name}:{self.lines.get(path, 1)}"


def parent(path: str) -> str:
    """The dotted path one level up; ``a.b[2]`` is in ``a.b``, which is in ``a``."""
    cut = max(path.rfind("."), path.rfind("["))
    return path[:cut] if cut > 0 else ""


def read(path: Path) -> Document:
    """Read `path`; structural faults are collected in the document.

    Raises:
        StentorError: when the file cannot be read at all, with the line where YAML's syntax ends.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise StentorError(f"this is not YAML: {error.problem or error.context}.",
                           path=f"{path}:{mark.line + 1 if mark else 1}") from error  # fmt: skip
    except yaml.YAMLError as error:
        raise StentorError(f"this is not YAML: {str(error).splitlines()[0]}.", path=str(path)) from error
    except RecursionError as error:
        raise StentorError("it is nested too deeply.", path=str(path)) from error
    document = Document(path)
    value = _Builder(document).build(node, "", 0) if node is not None else {}
    if not isinstance(value, dict):
        raise StentorError("a recipe is a mapping of sections, such as 'task:' and 'encoder:'.", path=str(path))
    document.data = value
    return document


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise StentorError(f"it cannot be read: {error.strerror or error}.", path=str(path)) from error
    if len(content) > LARGEST_FILE:
        raise StentorError(f"it is larger than {LARGEST_FILE} bytes, so it is no recipe.", path=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StentorError("it is not UTF-8 text, so it is no YAML file.", path=str(path)) from error


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: Any, path: str, depth: int) -> Any:
        self.nodes += 1
        if depth > DEEPEST or self.nodes > MOST_NODES:
            raise StentorError("it is nested too deeply, or its anchors unfold into too much.",
                               path=str(self.document.path))  # fmt: skip
        if isinstance(node, yaml.MappingNode) and self._plain(node, path, "map"):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and self._plain(node, path, "seq"):
            return self._sequence(node, path, depth)
        if isinstance(node, yaml.ScalarNode) and self._plain(node, path, *_PATTERNS, "str"):
            return self._scalar(node, path)
        return None

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or key_node.tag not in (_TAG + "str", _TAG + "bool", _TAG + "int"):
                self._fault(key_node, path, f"a key must be a plain word, not {key_node.tag.removeprefix(_TAG)}.")
                continue
            below = f"{path}.{key}" if path else key
            if key in found:
                self._fault(key_node, below, f"'{key}' is written twice; the first is on line "
                                             f"{self.document.lines[below]}.")  # fmt: skip
                continue
            self.document.lines[below] = key_node.start_mark.line + 1
            found[key] = self.build(value_node, below, depth + 1)
        return found

    def _sequence(self, node: yaml.SequenceNode, path: str, depth: int) -> list[Any]:
        found = []
        for index, item in enumerate(node.value):
            below = f"{path}[{index}]"
            self.document.lines[below] = item.start_mark.line + 1
            found.append(self.build(item, below, depth + 1))
        return found

    def _plain(self, node: yaml.Node, path: str, *tags: str) -> bool:
        if node.tag.removeprefix(_TAG) in tags and node.tag.startswith(_TAG):
            return True
        shown = node.tag.replace(_TAG, "!!")
        self._fault(node, path, f"tag '{shown}' is refused: YAML here holds plain data and never names code.")
        return False

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text, tag = node.value, node.tag.removeprefix(_TAG)
        try:
            return _SCALARS[tag](text)
        except (ValueError, KeyError):
            self._fault(node, path, f"'{text}' is no {tag}.")
            return None

    def _fault(self, node: yaml.Node, path: str, message: str) -> None:
        line = node.start_mark.line + 1
        self.document.problems.append(Problem(message, path=path, source=f"{self.document.path.name}:{line}"))


def _int(text: str) -> int:
    return int(text.replace("_", ""), 16 if "0x" in text else 10)


def _float(text: str) -> float:
    bare = text.replace("_", "").lower()
    return float(bare.replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Any] = {
    "null": lambda _: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": _int,
    "float": _float,
    "str": str,
}
