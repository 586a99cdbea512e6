"""Finds plugins by entry point, loads them, and says whose fault it is when one fails."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from stentor import hooks
from stentor.errors import StentorError
from stentor.registry import Origin, Registry, Verbs

GROUP = "stentor"


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    origin: Origin
    cause: Exception

    def __str__(self) -> str:
        return f"{self.origin} is left out: {type(self.cause).__name__}: {self.cause}"


@dataclass
class Plugins:
    """Everything the loaded plugins brought."""

    registry: Registry = field(default_factory=Registry)
    verbs: Verbs = field(default_factory=Verbs)
    recipes: dict[str, Path] = field(default_factory=dict)
    loaded: list[Origin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def load(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load the built-ins and then every plugin of `points` (default: the installed ones).

    ``STENTOR_PLUGINS=a,b`` is an allow list (entry point or distribution names; empty means none),
    ``STENTOR_STRICT=1`` raises on the first failure, ``STENTOR_TRACE=1`` prints every hook call to stderr.

    Raises:
        StentorError: in strict mode, when a plugin fails.
    """
    plugins, manager = Plugins(), pluggy.PluginManager("stentor")
    manager.add_hookspecs(hooks)
    if os.environ.get("STENTOR_TRACE") == "1":
        manager.add_hookcall_monitoring(_print_call, lambda *_: None)
    _load_one(plugins, manager, Origin("stentor"), lambda: importlib.import_module("stentor.builtin"))
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        distribution = getattr(point, "dist", None)
        origin = Origin(point.name, *((distribution.name, distribution.version) if distribution else ()))
        if _allowed(origin):
            _load_one(plugins, manager, origin, point.load)
    return plugins


@cache
def installed() -> Plugins:
    """The plugins of this environment, loaded once; failures are told once, on stderr."""
    plugins = load()
    for failure in plugins.failures:
        print(f"stentor: {failure}", file=sys.stderr)
    return plugins


def registry() -> Registry:
    """The registry of this environment."""
    return installed().registry


def _allowed(origin: Origin) -> bool:
    listed = os.environ.get("STENTOR_PLUGINS")
    if listed is None:
        return True
    return bool({origin.plugin, origin.distribution} & {name.strip() for name in listed.split(",") if name.strip()})


def _load_one(plugins: Plugins, manager: pluggy.PluginManager, origin: Origin, load: Callable[[], Any]) -> None:
    registry, verbs = plugins.registry, plugins.verbs
    saved, saved_verbs, saved_recipes = registry.snapshot(), dict(verbs.table), dict(plugins.recipes)
    registry.origin = verbs.origin = origin
    module = None
    try:
        module = load()
        manager.register(module, name=origin.plugin)
        _refuse_unknown_hooks(manager, module)
        others = [other for other in manager.get_plugins() if other is not module]

        def call(name: str, **arguments: Any) -> Any:
            return manager.subset_hook_caller(name, others)(**arguments)

        call("stentor_kinds", registry=registry)
        call("stentor_register", registry=registry)
        call("stentor_verbs", verbs=verbs)
        for folder in call("stentor_recipes"):
            plugins.recipes.update(_recipes_in(Path(folder), origin))
        plugins.loaded.append(origin)
    except Exception as cause:  # whatever a stranger's plugin raises is its own failure, reported with its name
        registry.restore(saved)
        verbs.table, plugins.recipes = saved_verbs, saved_recipes
        if module is not None and manager.is_registered(module):
            manager.unregister(module)
        if os.environ.get("STENTOR_STRICT") == "1":
            raise StentorError(str(Failure(origin, cause))) from cause
        plugins.failures.append(Failure(origin, cause))


def _refuse_unknown_hooks(manager: pluggy.PluginManager, module: Any) -> None:
    known = [name for name in vars(hooks) if name.startswith("stentor_")]
    for caller in manager.get_hookcallers(module) or []:
        if not caller.has_spec():
            raise StentorError(f"it implements hook '{caller.name}', which does not exist.",
                               value=caller.name, options=known)  # fmt: skip


def _recipes_in(folder: Path, origin: Origin) -> dict[str, Path]:
    if not folder.is_dir():
        raise StentorError(f"its recipe folder '{folder}' does not exist.")
    return {f"{origin.plugin}/{file.stem}": file for file in sorted(folder.glob("*.yaml"))}


def _print_call(name: str, implementations: list[pluggy.HookImpl], arguments: dict[str, Any]) -> None:
    called = ", ".join(implementation.plugin_name for implementation in implementations) or "nobody"
    print(f"stentor trace: {name} -> {called}", file=sys.stderr)
