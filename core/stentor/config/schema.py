"""The schema of a component, read off its constructor: positional is wired, keyword-only is configured."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stentor.config import typing_rules
from stentor.config.docstrings import argument_docs, first_line
from stentor.errors import StentorError
from stentor.registry import Entry

REQUIRED: Any = inspect.Parameter.empty
"""The default of a setting that has none."""


@dataclass(frozen=True)
class Field:
    """One parameter: its name, type, default (or `REQUIRED`) and the line of the docstring about it."""

    name: str
    hint: Any
    default: Any = REQUIRED
    doc: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def type_name(self) -> str:
        return typing_rules.name_of(self.hint)


@dataclass(frozen=True)
class Schema:
    """What a component takes: `wired` from its neighbours, `configured` from YAML."""

    title: str
    wired: tuple[Field, ...]
    configured: tuple[Field, ...]
    doc: str

    def field(self, name: str) -> Field | None:
        return next((field for field in self.configured if field.name == name), None)


def of(entry: Entry) -> Schema:
    """The schema of a registered component; imports it.

    Raises:
        StentorError: when it cannot be imported, or a keyword-only parameter has no type that can be checked, for that
            would switch checking off below it.
    """
    title = f"{entry.kind} '{entry.name}'"
    return _of_class(entry.load(), title, f"{title} of {entry.origin}")


def _of_class(target: Any, title: str, blamed: str) -> Schema:
    function = _constructor(target)
    doc = inspect.getdoc(target) or ""
    docs = argument_docs(doc) | argument_docs(inspect.getdoc(function) if function else "")
    wired, configured = [], []
    for parameter in _parameters(function, inspect.isclass(target)):
        if parameter.kind is parameter.VAR_KEYWORD:
            raise StentorError(f"{blamed} takes '**{parameter.name}', which would switch checking off: it must name "
                               f"every setting.")  # fmt: skip
        if parameter.kind is not parameter.KEYWORD_ONLY:
            hint = _try_hint(target, function, parameter)
            wired.append(Field(parameter.name, hint, parameter.default, docs.get(parameter.name, "")))
            continue
        hint = _hint(target, function, parameter, blamed)
        fault = typing_rules.fault_in(hint)
        if fault:
            raise StentorError(f"setting '{parameter.name}' of {blamed} is {fault}, so it cannot be checked: give it a "
                               f"type such as int, list[str] or dict[str, float].")  # fmt: skip
        configured.append(Field(parameter.name, hint, _default(target, parameter), docs.get(parameter.name, "")))
    return Schema(title, tuple(wired), tuple(configured), doc)


def of_dataclass(cls: type) -> tuple[Field, ...]:
    """The fields of a settings dataclass, in order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    docs = argument_docs(inspect.getdoc(cls))
    return tuple(
        Field(field.name, hints[field.name], _field_default(field), docs.get(field.name, ""))
        for field in dataclasses.fields(cls)
        if field.init
    )


def summary(entry: Entry) -> str:
    """The first line of the component's docstring; imports it."""
    return first_line(inspect.getdoc(entry.load()))


def _field_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default


def _default(target: Any, parameter: inspect.Parameter) -> Any:
    if dataclasses.is_dataclass(target) and inspect.isclass(target):
        for field in dataclasses.fields(target):
            if field.name == parameter.name:
                return _field_default(field)
    return parameter.default


def _constructor(target: Any) -> Callable[..., Any] | None:
    if not inspect.isclass(target):
        return typing.cast("Callable[..., Any]", target)
    for base in target.__mro__:
        if "__init__" in vars(base):
            # torch.nn.Module takes (*args, **kwargs) only to reject them: a component without its own takes nothing
            own = base is not object and base.__module__.partition(".")[0] not in ("torch", "typing")
            return typing.cast("Callable[..., Any]", vars(base)["__init__"]) if own else None
    return None


def _parameters(function: Callable[..., Any] | None, bound: bool) -> list[inspect.Parameter]:
    if function is None:
        return []
    return list(inspect.signature(function).parameters.values())[1 if bound else 0 :]


def _try_hint(target: Any, function: Any, parameter: inspect.Parameter) -> Any:
    try:
        return _hint(target, function, parameter, "")
    except StentorError:
        return parameter.annotation


def _hint(target: Any, function: Any, parameter: inspect.Parameter, blamed: str) -> Any:
    if parameter.annotation is REQUIRED:
        raise StentorError(f"setting '{parameter.name}' of {blamed} has no type, so it cannot be checked: annotate it.")
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    scope = getattr(function, "__globals__", None) or vars(sys.modules[target.__module__])
    try:
        return typing.get_type_hints(holder, globalns=scope, include_extras=True)[parameter.name]
    except Exception as cause:  # an annotation is arbitrary code of the plugin's author
        raise StentorError(f"the type '{parameter.annotation}' of setting '{parameter.name}' of {blamed} cannot be "
                           f"resolved: {type(cause).__name__}: {cause}.") from cause  # fmt: skip
