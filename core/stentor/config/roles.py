"""Which roles a recipe has to fill, and what a word such as ``encoder`` or ``tokenizer@text`` means in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stentor.config import structure
from stentor.config.files import Pick, RecipeFile
from stentor.config.overrides import Given
from stentor.errors import Problem, StentorError, near_match
from stentor.registry import Registry


@dataclass
class Roles:
    """Role -> kind, ``task`` among them; `certain` is false when the task is not known: then every kind is a role."""

    registry: Registry
    kinds: dict[str, str]
    certain: bool = True

    @classmethod
    def of_recipe(cls, registry: Registry, top: RecipeFile, given: Sequence[Given]) -> Roles:
        """The roles of the task that the command line or the recipe chooses."""
        task = _task_given(given) or _task_of(top)
        try:
            return cls(registry, {"task": "task", **structure.roles_of(task or "", registry)})
        except StentorError:  # told later, with the line, by the check of the whole
            return cls(registry, {kind.name: kind.name for kind in registry.kinds()}, certain=False)

    def kind_of(self, role: str) -> str | None:
        return self.kinds.get(role)

    def means(self, word: str) -> bool:
        """Whether `word` is a role or a kind."""
        return word in self.kinds or word in {kind.name for kind in self.registry.kinds()}

    def resolve(self, word: str, at: str | None, source: str) -> str:
        """The role that ``word@at`` means; ``word`` may be a role, or a kind of which the task has one.

        Raises:
            StentorError: when there is no such role, or several.
        """
        if at is not None and not self.certain:
            self.kinds.setdefault(at, word)
        if at is None and word in self.kinds:
            return word
        playing = [role for role, kind in self.kinds.items() if kind == word]
        if at is None and len(playing) == 1:
            return playing[0]
        if at is not None and self.kinds.get(at) == word:
            return at
        raise StentorError(problems=[self._no_role(word, at, playing, source)])

    def _no_role(self, word: str, at: str | None, playing: list[str], source: str) -> Problem:
        written = word if at is None else f"{word}@{at}"
        options = tuple(self.word_for(role) for role in self.kinds)
        if len(playing) > 1 and at is None:
            return Problem(f"the task has several roles of kind '{word}'.", written,
                           options=tuple(map(self.word_for, playing)), source=source)  # fmt: skip
        near = near_match(written, options)
        return Problem(f"there is no role '{written}' in this task.", written, written, options, near, source)

    def word_for(self, role: str) -> str:
        """How a defaults list writes the role: ``encoder`` or ``tokenizer@text``."""
        kind = self.kinds[role]
        return kind if kind == role else f"{kind}@{role}"


def _task_given(given: Iterable[Given]) -> str | None:
    found = None
    for one in given:
        value = one.value.get("name") if isinstance(one.value, dict) else one.value
        if one.key in ("task", "task.name") and one.at is None and isinstance(value, str) and not one.delete:
            found = value
    return found


def _task_of(file: RecipeFile) -> str | None:
    section: Any = file.body.get("task")
    name = section.get("name") if isinstance(section, dict) else section
    if isinstance(name, str):
        return name
    for item in file.items:
        if isinstance(item, Pick) and item.word == "task":
            return item.name
    return next((task for parent in reversed(file.parents) if (task := _task_of(parent))), None)
