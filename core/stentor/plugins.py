"""Finds plugins by entry point, loads them, and says whose fault it is when one fails."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from stentor import __version__, hooks
from stentor.errors import StentorError
from stentor.registry import Origin, Registry, Verbs
from stentor.serve.mounts import Mounts

GROUP = "stentor"
CORE = Origin("stentor", "stentor", __version__)
AFTERWARDS = Origin("this program")
"""Who registers what is registered after all plugins have been loaded, e.g. in a notebook."""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    origin: Origin
    cause: BaseException

    def __str__(self) -> str:
        kind = "" if isinstance(self.cause, StentorError) else f"{type(self.cause).__name__}: "
        return f"{self.origin} is left out: {kind}{' '.join(str(self.cause).split())}"


@dataclass
class Plugins:
    """Everything the loaded plugins brought."""

    registry: Registry = field(default_factory=Registry)
    verbs: Verbs = field(default_factory=Verbs)
    mounts: Mounts = field(default_factory=Mounts)
    recipes: dict[str, Path] = field(default_factory=dict)
    loaded: list[Origin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def sign(self, origin: Origin) -> None:
        """What is registered from now on is registered by `origin`."""
        self.registry.origin = self.verbs.origin = self.mounts.origin = origin


def load(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load the built-ins and then every plugin of `points` (default: the installed ones).

    ``STENTOR_PLUGINS=a,b`` is an allow list (entry point or distribution names; empty means none),
    ``STENTOR_STRICT=1`` raises on the first failure, ``STENTOR_TRACE=1`` prints every hook call to stderr.

    Raises:
        StentorError: in strict mode, when a plugin fails.
    """
    loader = _Loader()
    loader.load(CORE, lambda: importlib.import_module("stentor.builtin"))
    allowed, met = _allow_list(), {CORE.plugin}
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        origin = _origin(point)
        names = {_folded(origin.plugin), _folded(origin.distribution)}
        met |= names
        if allowed is None or allowed & names:
            loader.load(origin, point.load)
    for name in sorted((allowed or set()) - met):
        loader.fail(Origin(name), StentorError("STENTOR_PLUGINS names it, but it is not installed."))
    loader.plugins.sign(AFTERWARDS)
    return loader.plugins


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


def _origin(point: EntryPoint) -> Origin:
    distribution = getattr(point, "dist", None)
    if distribution is None:
        return Origin(point.name)
    return Origin(point.name, str(distribution.name or ""), str(distribution.version or ""))


def _allow_list() -> set[str] | None:
    listed = os.environ.get("STENTOR_PLUGINS")
    return None if listed is None else {_folded(name) for name in listed.split(",") if name.strip()}


def _folded(name: str) -> str:
    return name.strip().lower().replace("_", "-")


class _Loader:
    def __init__(self) -> None:
        self.plugins = Plugins()
        self.manager = pluggy.PluginManager("stentor")
        self.manager.add_hookspecs(hooks)
        if os.environ.get("STENTOR_TRACE") == "1":
            self.manager.add_hookcall_monitoring(_print_call, lambda *_: None)

    def load(self, origin: Origin, load: Callable[[], Any]) -> None:
        """Load one plugin whole, or leave nothing of it behind."""
        plugins = self.plugins
        saved, verbs, recipes = plugins.registry.snapshot(), dict(plugins.verbs.table), dict(plugins.recipes)
        mounts = dict(plugins.mounts.table)
        plugins.sign(origin)
        try:
            self._refuse_taken_name(origin)
            self._call_hooks(load(), origin)
            plugins.loaded.append(origin)
        except (Exception, SystemExit) as cause:  # whatever a stranger's plugin raises is its own failure
            plugins.registry.restore(saved)
            plugins.verbs.table, plugins.recipes, plugins.mounts.table = verbs, recipes, mounts
            self.fail(origin, cause)

    def fail(self, origin: Origin, cause: BaseException) -> None:
        """Note a failure, or raise it in strict mode."""
        failure = Failure(origin, cause)
        if os.environ.get("STENTOR_STRICT") == "1":
            raise StentorError(str(failure)) from cause
        self.plugins.failures.append(failure)

    def _refuse_taken_name(self, origin: Origin) -> None:
        for other in self.plugins.loaded:
            if other.plugin == origin.plugin:
                raise StentorError(f"entry point '{origin.plugin}' is taken by {other}.")

    def _call_hooks(self, module: Any, origin: Origin) -> None:
        manager, plugins = self.manager, self.plugins
        if manager.is_registered(module):
            raise StentorError(f"'{getattr(module, '__name__', module)}' is already loaded by another entry point.")
        _refuse_unmarked_hooks(module)
        try:
            manager.register(module, name=origin.plugin)
            self._refuse_unknown_hooks(module)
            others = [other for other in manager.get_plugins() if other is not module]

            def call(name: str, **arguments: Any) -> Any:
                return manager.subset_hook_caller(name, others)(**arguments)

            call("stentor_kinds", registry=plugins.registry)
            call("stentor_register", registry=plugins.registry)
            call("stentor_verbs", verbs=plugins.verbs)
            call("stentor_routes", mounts=plugins.mounts)
            for folder in call("stentor_recipes"):
                plugins.recipes.update(_recipes_in(Path(folder), origin))
        except BaseException:
            if manager.is_registered(module):
                manager.unregister(module)
            raise

    def _refuse_unknown_hooks(self, module: Any) -> None:
        for caller in self.manager.get_hookcallers(module) or []:
            if not caller.has_spec():
                raise StentorError(f"it implements hook '{caller.name}', which does not exist.",
                                   value=caller.name, options=_hook_names())  # fmt: skip


def _hook_names() -> list[str]:
    return [name for name in vars(hooks) if name.startswith("stentor_")]


def _refuse_unmarked_hooks(module: Any) -> None:
    for name in _hook_names():
        function = getattr(module, "__dict__", {}).get(name)
        if function is not None and not hasattr(function, "stentor_impl"):
            raise StentorError(f"its '{name}' is not marked with '@stentor.hookimpl', so it would not be called.")


def _recipes_in(folder: Path, origin: Origin) -> dict[str, Path]:
    if not folder.is_dir():
        raise StentorError(f"its recipe folder '{folder}' does not exist.")
    return {f"{origin.plugin}/{file.stem}": file for file in sorted(folder.glob("*.yaml"))}


def _print_call(name: str, implementations: Sequence[pluggy.HookImpl], arguments: Mapping[str, Any]) -> None:
    called = ", ".join(implementation.plugin_name for implementation in implementations) or "nobody"
    print(f"stentor trace: {name} -> {called}", file=sys.stderr)
