"""The hook specifications: all the places where a plugin meets the core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs
    from stentor.serve.mounts import Mounts

hookspec = pluggy.HookspecMarker("stentor")


@hookspec
def stentor_kinds(registry: Registry) -> None:
    """Declare further kinds of component, before any component is registered."""


@hookspec
def stentor_register(registry: Registry) -> None:
    """Register components: names and import strings, nothing that imports torch."""


@hookspec
def stentor_recipes() -> Path:  # type: ignore[empty-body]
    """Return the folder that holds the plugin's recipes, one YAML file each."""


@hookspec
def stentor_verbs(verbs: Verbs) -> None:
    """Add verbs to the command line: a name, the module that carries it out, one line of help."""


@hookspec
def stentor_routes(mounts: Mounts) -> None:
    """Offer what `stentor serve` can mount: a name, the import string of its `Capability`, one line of help."""
