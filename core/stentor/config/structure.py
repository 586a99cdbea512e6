"""What a whole recipe must look like: a task, a section for each of its roles, and the settings sections."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stentor.config import typing_rules
from stentor.config.checking import Checker
from stentor.errors import Problem, StentorError, near_match
from stentor.registry import Registry

SETTINGS = {
    "data": "stentor.data.settings:DataSettings",
    "train": "stentor.train.settings:TrainSettings",
    "evaluate": "stentor.evaluate.settings:EvaluateSettings",
}
"""Section -> dataclass of its settings."""

SCALARS: dict[str, tuple[type, Any]] = {"name": (str, ""), "seed": (int, 0)}
"""Settings at the top of a recipe: type and default."""

_CODE_KEY = re.compile(r"_\w+_")


def settings_class(section: str) -> type:
    """The dataclass of a settings section; imports no torch."""
    module, _, name = SETTINGS[section].partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def roles_of(task: str, registry: Registry) -> dict[str, str]:
    """Role -> kind of a registered task.

    Raises:
        StentorError: when there is no such task, it cannot be imported, or it names an unknown kind.
    """
    entry = registry.get("task", task, path="task.name")
    roles = dict(getattr(entry.load(), "roles", {}))
    for role, kind in roles.items():
        if role in SETTINGS or role in SCALARS or role == "task":
            raise StentorError(f"role '{role}' of task '{task}' of {entry.origin} has the name of a settings section.")
        registry.check_kind(kind)
    return roles


def optional_roles_of(task: str, registry: Registry) -> frozenset[str]:
    """The roles of a registered task that a recipe may leave unfilled."""
    return frozenset(getattr(registry.get("task", task, path="task.name").load(), "optional_roles", ()))


def check(config: Mapping[str, Any], registry: Registry) -> tuple[dict[str, Any], list[Problem]]:
    """The configuration with every default filled in, and everything that is wrong with it."""
    problems = list(_code_keys(config))
    config = _without_code_keys(config)
    checker = Checker(registry)
    found: dict[str, Any] = {name: checker.value(config.get(name, default), hint, name)
                             for name, (hint, default) in SCALARS.items()}  # fmt: skip
    roles = _check_task(config, registry, checker, found)
    for section in SETTINGS:
        given = config.get(section)
        found[section] = checker.value({} if given is None else given, settings_class(section), section)
    return found, [*problems, *checker.problems, *_unknown_sections(config, roles, registry)]


def _check_task(config: Mapping[str, Any], registry: Registry, checker: Checker,
                found: dict[str, Any]) -> dict[str, str] | None:  # fmt: skip
    if config.get("task") is None:
        options = tuple(registry.names("task"))
        checker.problems.append(Problem("a recipe needs a task: add '- task: NAME' to its defaults list.",
                                        "task", options=options))  # fmt: skip
        return None
    found["task"] = checker.component(config["task"], "task", "task")
    try:
        roles = roles_of(found["task"].get("name", ""), registry)
    except StentorError as error:
        # a task that is unknown or cannot be imported was already reported by the checker
        checker.problems += [problem for problem in error.problems if not problem.path]
        return None
    optional = optional_roles_of(found["task"]["name"], registry)
    for role, kind in roles.items():
        if config.get(role) is None and role in optional:
            continue
        if config.get(role) is None:
            checker.problems.append(_missing(role, kind, found["task"]["name"], registry))
        else:
            found[role] = checker.component(config[role], kind, role)
    return roles


def _missing(role: str, kind: str, task: str, registry: Registry) -> Problem:
    group = kind if role == kind else f"{kind}@{role}"
    return Problem(
        f"task '{task}' needs {typing_rules.article(kind)} here: add '- {group}: NAME' to the defaults list.",
        role,
        options=tuple(registry.names(kind)),
    )


def _unknown_sections(config: Mapping[str, Any], roles: dict[str, str] | None,
                      registry: Registry) -> Iterator[Problem]:  # fmt: skip
    kinds = [] if roles is not None else [kind.name for kind in registry.kinds()]
    known = ["task", *(roles or ()), *SETTINGS, *SCALARS]
    for key in config:
        if key in known or (roles is None and key in kinds):
            continue
        if roles is None and isinstance(config[key], Mapping) and "name" in config[key]:
            continue  # it may well be a role of the task that could not be found
        playing = [role for role, kind in (roles or {}).items() if kind == key]
        near = playing[0] if playing else near_match(str(key), known)
        where = " in this task" if roles is not None else ""
        yield Problem(f"there is no section '{key}'{where}.", str(key), options=tuple(known), suggestion=near)


def _code_keys(value: Any, path: str = "") -> Iterator[Problem]:
    items = enumerate(value) if isinstance(value, list | tuple) else value.items() if isinstance(value, Mapping) else ()
    for key, item in items:
        below = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else str(key)
        if isinstance(key, str) and _CODE_KEY.fullmatch(key):
            yield Problem(f"'{key}' is refused: a recipe picks components by their registered names and never names "
                          f"code.", below, item)  # fmt: skip
        else:
            yield from _code_keys(item, below)


def _without_code_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_code_keys(item) for key, item in value.items() if not _CODE_KEY.fullmatch(str(key))}
    if isinstance(value, list | tuple):
        return [_without_code_keys(item) for item in value]
    return value


def by_place(problems: list[Problem]) -> list[Problem]:
    """The problems without repetitions: one for each place."""
    seen: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.path, "" if problem.path else problem.message), problem)
    return list(seen.values())


def located(problem: Problem, source: str) -> Problem:
    """The problem with the file and line, unless it has one already."""
    return problem if problem.source or not source else dataclasses.replace(problem, source=source)
