"""Kinds, lazy entries and look-up: which components exist, without importing any of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stentor.errors import StentorError, near_match

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


RESERVED = ("kinds", "plugins", "recipes", "verbs", "hydra", "recipe")
"""Words that cannot name a kind: `stentor list` and the composition use them."""


@dataclass(frozen=True)
class Origin:
    """Who registered something: the plugin's entry point name, its distribution and version."""

    plugin: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        if not self.distribution:
            return f"plugin '{self.plugin}'"
        return f"plugin '{self.plugin}' ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Kind:
    """A kind of component: its name, the interface its members implement, one line on the contract."""

    name: str
    interface: str
    doc: str
    origin: Origin


@dataclass(frozen=True)
class Entry:
    """A registered component: a name and an import string ``package.module:Class``, resolved on first use."""

    kind: str
    name: str
    target: str
    origin: Origin

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def load(self) -> Any:
        """Import and return the class.

        Raises:
            StentorError: when the import fails, naming the plugin at fault and the cause.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except StentorError:
            raise
        except (Exception, SystemExit) as cause:  # whatever a stranger's module raises is its own failure
            raise StentorError(
                f"{self.kind} '{self.name}' of {self.origin} cannot be loaded from '{self.target}': "
                f"{type(cause).__name__}: {cause}",
                path=f"{self.kind}.{self.name}",
            ) from cause
        return found


@dataclass(frozen=True)
class Verb:
    """A verb of the command line: `module` offers ``add_arguments(parser)`` and ``run(arguments) -> int``."""

    name: str
    module: str
    help: str
    origin: Origin


class Registry:
    """All known kinds and components.

    A plugin calls one method per kind, e.g. ``registry.encoder("conformer", "stentor_asr.encoder:Conformer")``; every
    declared kind has such a method. `add` is the same thing with the kind as an argument.
    """

    def __init__(self) -> None:
        self.origin = Origin("stentor")
        self._kinds: dict[str, Kind] = {}
        self._entries: dict[tuple[str, str], Entry] = {}

    def kind(self, name: str, interface: str, doc: str) -> None:
        """Declare a kind.

        Args:
            name: singular and lower case, e.g. ``voice``; becomes a config group and a method of the registry.
            interface: import string of the abstract class.
            doc: the contract in one line.
        """
        if name in self._kinds:
            raise StentorError(f"kind '{name}' of {self.origin} is already declared by {self._kinds[name].origin}.")
        if not name.isidentifier() or name.startswith("_") or hasattr(type(self), name) or name in RESERVED:
            raise StentorError(f"{self.origin} declares kind '{name}', which is no free plain word.", value=name)
        self._kinds[name] = Kind(name, interface, doc, self.origin)

    def add(self, kind: str, name: str, target: str) -> None:
        """Register component `name` of `kind` at import string `target` (``package.module:Class``).

        Raises:
            StentorError: for an unknown kind, a malformed target or a name that is taken (both origins are named).
        """
        if kind not in self._kinds:
            raise StentorError(f"{self.origin} registers '{name}' under unknown kind '{kind}'.",
                               value=kind, options=sorted(self._kinds))  # fmt: skip
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise StentorError(f"{self.origin} registers {kind} {name!r}; a name is letters, digits, '.', '_' and '-'.")
        if not isinstance(target, str) or target.count(":") != 1:
            raise StentorError(f"{self.origin} registers {kind} '{name}' with target {target!r}; it must be an import "
                               f"string such as 'package.module:Class'.")  # fmt: skip
        taken = self._entries.get((kind, name))
        if taken:
            raise StentorError(
                f"{kind} '{name}' is registered twice: by {taken.origin} as '{taken.target}' and by {self.origin} "
                f"as '{target}'; one of them must take another name."
            )
        self._entries[kind, name] = Entry(kind, name, target, self.origin)

    def __getattr__(self, kind: str) -> Any:
        if kind.startswith("_"):  # asked for by copy and pickle before there are any kinds
            raise AttributeError(kind)
        if kind not in self._kinds:
            near = near_match(kind, self._kinds)
            hint = f"did you mean '{near}'? " if near else ""
            raise AttributeError(f"no kind '{kind}'; {hint}kinds: {', '.join(sorted(self._kinds))}")

        def register(name: str, target: str) -> None:
            self.add(kind, name, target)

        return register

    def kinds(self) -> list[Kind]:
        return sorted(self._kinds.values(), key=lambda kind: kind.name)

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Every entry, or those of one kind, sorted; nothing is imported."""
        if kind is not None:
            self.check_kind(kind)
        for key in sorted(self._entries):
            if kind is None or key[0] == kind:
                yield self._entries[key]

    def names(self, kind: str) -> list[str]:
        return [entry.name for entry in self.entries(kind)]

    def check_kind(self, kind: str) -> Kind:
        if kind not in self._kinds:
            raise StentorError(f"there is no kind '{kind}'.", value=kind, options=sorted(self._kinds))
        return self._kinds[kind]

    def get(self, kind: str, name: str, *, path: str = "") -> Entry:
        """Look a component up; `path` says where the name was written, for the error.

        Raises:
            StentorError: with the options and the near match, when there is none.
        """
        self.check_kind(kind)
        entry = self._entries.get((kind, name)) if isinstance(name, str) else None
        if entry is None:
            raise StentorError(f"there is no {kind} '{name}'.", path=path, value=name, options=self.names(kind))
        return entry

    def build(self, kind: str, name: str, *wired: Any, **configured: Any) -> Any:
        """Construct a component: `wired` come from its neighbours, `configured` from the user."""
        return self.get(kind, name).load()(*wired, **configured)

    def snapshot(self) -> tuple[dict[str, Kind], dict[tuple[str, str], Entry]]:
        """The present contents, to roll back to when a plugin fails half-way."""
        return dict(self._kinds), dict(self._entries)

    def restore(self, saved: tuple[dict[str, Kind], dict[tuple[str, str], Entry]]) -> None:
        self._kinds, self._entries = dict(saved[0]), dict(saved[1])


class Verbs:
    """The verbs of the command line, by name."""

    def __init__(self) -> None:
        self.origin = Origin("stentor")
        self.table: dict[str, Verb] = {}

    def add(self, name: str, module: str, help: str) -> None:
        """Add verb `name`, carried out by `module`; nothing is imported until it is called."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise StentorError(f"{self.origin} adds verb {name!r}; a name is letters, digits, '.', '_' and '-'.")
        taken = self.table.get(name)
        if taken:
            raise StentorError(f"verb '{name}' of {self.origin} is taken by {taken.origin}.")
        self.table[name] = Verb(name, module, help, self.origin)
