"""Checks plain data against types, fills in defaults, and collects every problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from stentor.config import schema, typing_rules
from stentor.config.schema import REQUIRED, Field
from stentor.errors import Problem, StentorError, near_match
from stentor.registry import Registry

MISSING = "???"
"""A value that whoever uses the recipe must give."""

DEEPEST_NESTING = 12


class Checker:
    """Checks values; `problems` collects what is wrong. Lists come back as tuples where the type says tuple."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.problems: list[Problem] = []

    def value(self, value: Any, hint: Any, path: str) -> Any:
        """The value as its type wants it."""
        mark = typing_rules.reference(hint)
        if mark:
            return self._reference(value, mark.kind, hint, path)
        if typing_rules.named(hint):
            return self._name(value, hint, path)
        hint = typing_rules.bare(hint)
        if isinstance(value, str) and value == MISSING:
            return self._fail(f"a value must be given: {typing_rules.wanted(hint)}.", path)
        check = self._scalar
        if typing_rules.is_union(hint):
            check = self._union
        elif get_origin(hint) is Literal:
            check = self._literal
        elif typing_rules.is_dataclass(hint):
            check = self._dataclass
        elif get_origin(hint) in (*typing_rules.LISTS, *typing_rules.MAPPINGS, tuple):
            check = self._container
        return check(value, hint, path)

    def record(self, value: Mapping[str, Any], fields: Sequence[Field], title: str, path: str,
               wired: Sequence[str] = ()) -> dict[str, Any]:  # fmt: skip
        """Every field of `fields`, from `value` or its default; keys that are no field are problems."""
        names = [field.name for field in fields]
        for key in value:
            if key not in names:
                self._unknown(f"{path}.{key}", value[key], names, title, wired)
        found = {}
        for field in fields:
            below = f"{path}.{field.name}"
            if field.name in value:
                given = _over(field.default, value[field.name])
                found[field.name] = self.value(given, field.hint, below)
            elif field.default is REQUIRED:
                self._fail(f"{title} needs a value here: {typing_rules.wanted(field.hint)}.", below)
            else:
                found[field.name] = self.value(plain(field.default), field.hint, below)
        return found

    def component(self, value: Any, kind: str, path: str) -> dict[str, Any]:
        """A section ``{name, **settings}`` with every default filled in."""
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            return self._fail(f"it must be a mapping with 'name', not {_shown(value)}.", path, value) or {}
        name = value.get("name")
        if not isinstance(name, str) or name == MISSING:
            options = tuple(self.registry.names(kind))
            self.problems.append(Problem(f"it does not say which {kind} to use.", f"{path}.name", name, options))
            return dict(value)
        try:
            found = schema.of(self.registry.get(kind, name, path=f"{path}.name"))
        except StentorError as error:
            self.problems += [p if p.path else dataclasses.replace(p, path=path) for p in error.problems]
            return dict(value)
        rest = {key: item for key, item in value.items() if key != "name"}
        wired = [field.name for field in found.wired]
        return {"name": name, **self.record(rest, found.configured, found.title, path, wired)}

    def _reference(self, value: Any, kind: str, hint: Any, path: str) -> Any:
        if value is None and type(None) in get_args(typing_rules.bare(hint)):
            return None
        if path.count(".") > DEEPEST_NESTING:
            return self._fail("components are nested too deeply, or contain themselves by default.", path)
        return self.component(value, kind, path)

    def _name(self, value: Any, hint: Any, path: str) -> Any:
        found = self.value(value, typing_rules.bare(hint), path)
        mark = typing_rules.named(hint)
        if mark and isinstance(found, str):
            try:
                self.registry.get(mark.kind, found, path=path)
            except StentorError as error:
                self.problems += error.problems
        return found

    def _union(self, value: Any, hint: Any, path: str) -> Any:
        arms = get_args(hint)
        if value is None and type(None) in arms:
            return None
        arms = tuple(arm for arm in arms if arm is not type(None))
        trials = [Checker(self.registry) for _ in arms]
        for trial, arm in zip(trials, arms, strict=True):
            found = trial.value(value, arm, path)
            if not trial.problems:
                return found
        # the arm that got furthest into the value tells most
        deep = max(trials, key=lambda trial: max(len(problem.path) for problem in trial.problems))
        if len(arms) == 1 or any(problem.path != path for problem in deep.problems):
            self.problems += deep.problems
            return None
        return self._fail(f"{_shown(value)} is not {typing_rules.wanted(hint)}.", path, value)

    def _literal(self, value: Any, hint: Any, path: str) -> Any:
        options = get_args(hint)
        for option in options:
            if type(option) is type(value) and option == value:
                return value
        shown = tuple(str(option) for option in options)
        near = near_match(value, shown) if isinstance(value, str) else None
        self.problems.append(Problem(f"{_shown(value)} is not among the options.", path, value, shown, near))
        return None

    def _dataclass(self, value: Any, hint: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._fail(f"it must be a mapping, not {_shown(value)}.", path, value)
        fields, before = schema.of_dataclass(hint), len(self.problems)
        found = self.record(value, fields, f"'{path}'", path)
        wrong = [problem.path for problem in self.problems[before:]]
        sound = {name: item for name, item in found.items() if not _any_below(wrong, f"{path}.{name}")}
        # a setting that is wrong already stands at its default, so that its neighbours are looked at too
        if all(field.name in sound or field.default is not REQUIRED for field in fields):
            try:
                instance(hint, sound)
            except StentorError as error:
                self.problems += [_below(problem, path) for problem in error.problems]
            except ValueError as error:
                self._fail(f"{error}.".replace("..", "."), path)
        return found

    def _container(self, value: Any, hint: Any, path: str) -> Any:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in typing_rules.MAPPINGS:
            if not isinstance(value, Mapping):
                return self._fail(f"{_shown(value)} is not {typing_rules.wanted(hint)}.", path, value)
            return {str(key): self.value(item, arguments[1], f"{path}.{key}") for key, item in value.items()}
        if not isinstance(value, list | tuple):
            return self._fail(f"{_shown(value)} is not {typing_rules.wanted(hint)}.", path, value)
        if origin is tuple and Ellipsis not in arguments:
            if len(value) != len(arguments):
                return self._fail(f"it must have {len(arguments)} items, not {len(value)}.", path, value)
        else:
            arguments = (arguments[0],) * len(value)
        pairs = enumerate(zip(value, arguments, strict=True))
        items = [self.value(item, argument, f"{path}[{index}]") for index, (item, argument) in pairs]
        return tuple(items) if origin is tuple else items

    def _scalar(self, value: Any, hint: Any, path: str) -> Any:
        if hint is float and type(value) is int:
            return float(value) if abs(value) < 2**1000 else self._fail(f"{_shown(value)} is too large.", path, value)
        if type(value) is hint or (hint is type(None) and value is None):
            return value
        self.problems.append(
            Problem(
                f"{_shown(value)} is not {typing_rules.wanted(hint)}.", path, value, suggestion=_repair(value, hint)
            )
        )
        return None

    def _unknown(self, below: str, value: Any, names: list[str], title: str, wired: Sequence[str]) -> None:
        key = below.rpartition(".")[2]
        if key in wired:
            return self._fail(f"'{key}' of {title} is decided by its neighbours and cannot be set.", below, value)
        if not names:
            return self._fail(f"{title} has no settings.", below, value)
        options, near = tuple(names), near_match(key, names)
        self.problems.append(Problem(f"{title} has no setting '{key}'.", below, value, options, near))
        return None

    def _fail(self, message: str, path: str, value: Any = None) -> Any:
        self.problems.append(Problem(message, path, value))


def plain(value: Any) -> Any:
    """A default as plain data: dataclasses become mappings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value) if type(value) in (list, tuple) else list(value)
    return value


def instance(hint: Any, value: Any) -> Any:
    """Checked plain data as what the type says: mappings become dataclasses."""
    hint = typing_rules.bare(hint)
    if value is None:
        return None
    if typing_rules.is_dataclass(hint):
        hints = {field.name: field.hint for field in schema.of_dataclass(hint)}
        return hint(**{key: instance(hints[key], item) for key, item in value.items()})
    arguments = get_args(hint)
    if typing_rules.is_union(hint):
        arms = [arm for arm in arguments if arm is not type(None)]
        return instance(arms[0], value) if len(arms) == 1 else value
    if get_origin(hint) in typing_rules.MAPPINGS:
        return {key: instance(arguments[1], item) for key, item in value.items()}
    if get_origin(hint) in typing_rules.LISTS:
        return [instance(arguments[0], item) for item in value]
    return value


def _over(default: Any, value: Any) -> Any:
    """A partial mapping lies over the default instance of a nested dataclass, not over the dataclass's own defaults."""
    if dataclasses.is_dataclass(default) and not isinstance(default, type) and isinstance(value, Mapping):
        base = plain(default)
        return {**base, **{k: _over(getattr(default, k, None), v) for k, v in value.items()}}
    return value


def _any_below(paths: Sequence[str], place: str) -> bool:
    return any(path == place or path.startswith((f"{place}.", f"{place}[")) for path in paths)


def _below(problem: Problem, path: str) -> Problem:
    return dataclasses.replace(problem, path=f"{path}.{problem.path}" if problem.path else path)


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _repair(value: Any, hint: Any) -> str | None:
    if hint is str and isinstance(value, int | float):
        return f'Write it in quotes: "{_shown(value)}".'
    if hint is int and isinstance(value, float) and value.is_integer():
        return f"Write {int(value)}."
    if hint is bool and isinstance(value, str) and value.lower() in _YES_NO:
        return f"Write {_YES_NO[value.lower()]}."
    return None


_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
