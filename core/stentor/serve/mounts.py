"""Which capabilities a server can mount: names and import strings, nothing that imports a web framework or torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from stentor.errors import StentorError
from stentor.registry import Origin


@dataclass(frozen=True)
class Mount:
    """A capability: `target` is the import string of a `stentor.serve.capability.Capability`, `help` one line on it."""

    name: str
    target: str
    help: str
    origin: Origin

    def load(self) -> Any:
        """Import and return the class.

        Raises:
            StentorError: when the import fails, naming the plugin at fault.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except StentorError:
            raise
        except (Exception, SystemExit) as cause:  # whatever a stranger's module raises is its own failure
            reason = f"{type(cause).__name__}: {cause}"
            raise StentorError(f"capability '{self.name}' of {self.origin} cannot be loaded: {reason}") from cause


class Mounts:
    """The capabilities of `stentor serve`, by name."""

    def __init__(self) -> None:
        self.origin = Origin("stentor")
        self.table: dict[str, Mount] = {}

    def add(self, name: str, target: str, help: str) -> None:
        """Offer capability `name`; nothing is imported until a server is started.

        Raises:
            StentorError: for a name that is taken, or a target that is no import string.
        """
        if name in self.table:
            raise StentorError(f"capability '{name}' of {self.origin} is taken by {self.table[name].origin}.")
        if target.count(":") != 1:
            raise StentorError(f"{self.origin} mounts '{name}' from {target!r}; it must be 'package.module:Class'.")
        self.table[name] = Mount(name, target, help, self.origin)
