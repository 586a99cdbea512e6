"""From sections of plain data to built components, by role; imports nothing but the components it builds."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stentor.errors import Problem, StentorError
from stentor.plugins import registry

if TYPE_CHECKING:
    from stentor.interfaces.task import Task

Section = Mapping[str, Any]


def assemble(
    config: Mapping[str, Any], *, texts: Sequence[str] | None = None, state: Mapping[str, Any] | None = None
) -> Task:
    """Build the task of a composed configuration, with all its components.

    Args:
        config: `Recipe.config`: section ``task`` and one section per role.
        texts: training transcripts for trainable tokenizers.
        state: `Task.state` of an earlier run, instead of texts.

    Raises:
        StentorError: for what is missing, unknown or refused by a constructor, with the section's name.
    """
    section = config.get("task", {})
    task: type[Task] = class_of("task", section, path="task")
    missing = [role for role in task.roles if role not in config and role not in task.optional_roles]
    if missing:
        raise StentorError(f"task '{section['name']}' needs a section for each of its roles: {', '.join(missing)}.")
    sections = {role: config[role] for role in task.roles if role in config}
    configured = configured_of(task, section, path="task")
    built = _blaming(lambda: task.assemble(sections, texts=texts, state=state, **configured), "task", section)
    return built  # type: ignore[no-any-return]


def build_role(task: type[Task], sections: Mapping[str, Section], role: str, *wired: Any) -> Any:
    """Build the component that plays `role` in `task`, wired with what its neighbours decided."""
    return build(task.roles[role], sections[role], *wired, path=role)


def build_text(
    task: type[Task], sections: Mapping[str, Section], texts: Sequence[str] | None, state: Mapping[str, Any] | None
) -> Any:
    """Build the text tokenizer that plays ``text``: restored from ``state["text"]``, else trained on `texts`."""
    text = build_role(task, sections, "text")
    if state is None:
        text.train(texts or ())
    else:
        text.load_state(state["text"])
    return text


def class_of_role(task: type[Task], sections: Mapping[str, Section], role: str) -> Any:
    """The class of the component that plays `role` in `task`, for its class methods; nothing is built."""
    return class_of(task.roles[role], sections[role], path=role)


def build(kind: str, section: Section, *wired: Any, path: str = "") -> Any:
    """Build one component of `kind` from its section ``{name, **configured}``.

    Args:
        kind: a registered kind, e.g. ``encoder``.
        section: plain data.
        wired: the constructor's positional arguments.
        path: where the section stands in the configuration, for errors; default: the kind.

    Raises:
        StentorError: for an unknown name or key, and for whatever the constructor raises.
    """
    path = path or kind
    cls = class_of(kind, section, path=path)
    configured = configured_of(cls, section, path=path)
    built = _blaming(lambda: cls(*wired, **configured), path, section)
    if kind in ("encoder", "adapter", "backbone"):
        from stentor.train.promises import hold

        hold(built, kind, section["name"], wired)
    return built


def class_of(kind: str, section: Section, *, path: str = "") -> Any:
    """The class that a section names."""
    path = path or kind
    if "name" not in section:
        options = registry().names(kind)
        raise StentorError(f"it does not say which {kind} to use.", path=f"{path}.name", options=options)
    return registry().get(kind, section["name"], path=path).load()


def configured_of(cls: Any, section: Section, *, path: str) -> dict[str, Any]:
    """What a section configures, without its name; every key must be a keyword-only parameter of `cls`."""
    configured = {key: value for key, value in section.items() if key != "name"}
    parameters = inspect.signature(cls.__init__).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    wrong = [
        StentorError(f"{section['name']} has no parameter '{key}'.", path=f"{path}.{key}", value=key, options=known)
        for key in configured
        if key not in known
    ]
    if wrong:
        raise StentorError(problems=[problem for error in wrong for problem in error.problems])
    return configured


def _blaming(make: Any, path: str, section: Section) -> Any:
    """What `make` makes; its failure is told as the fault of the component that `section` names."""
    try:
        return make()
    except StentorError as error:
        if error.path:
            raise
        raise StentorError(problems=[_placed(problem, path) for problem in error.problems]) from error
    except Exception as cause:  # whatever a component's constructor raises is that component's failure
        name = section.get("name", "?")
        raise StentorError(f"'{name}' cannot be built: {type(cause).__name__}: {cause}", path=path) from cause


def _placed(problem: Problem, path: str) -> Problem:
    return Problem(problem.message, path, problem.value, problem.options, problem.suggestion)
