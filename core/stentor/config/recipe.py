"""A composed recipe: plain data, checked, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stentor.config import reading, structure
from stentor.config.checking import instance
from stentor.errors import Problem, StentorError
from stentor.plugins import installed
from stentor.registry import Registry


@dataclass(frozen=True)
class Recipe:
    """A configuration that has passed every check; made by `stentor.config.compose`, or read back from a run.

    Attributes:
        config: plain data: ``name``, ``seed``, ``task``, one section per role of the task, ``data``, ``train`` and
            ``evaluate``.
    """

    config: dict[str, Any]

    @property
    def name(self) -> str:
        """What the recipe is called, e.g. ``asr/speechlm``."""
        return str(self.config["name"])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.config["task"]["name"])

    @property
    def task_settings(self) -> dict[str, Any]:
        """The task's own settings, without its name."""
        return {key: value for key, value in self.config["task"].items() if key != "name"}

    @property
    def roles(self) -> dict[str, str]:
        """Role -> kind of the task's components."""
        return structure.roles_of(self.task, installed().registry)

    @property
    def sections(self) -> dict[str, dict[str, Any]]:
        """Role -> ``{"name": ..., **settings}``, for every role of the task."""
        known = {"task", *structure.SETTINGS, *structure.SCALARS}
        return {role: section for role, section in self.config.items() if role not in known}

    def settings(self, section: str) -> Any:
        """Section ``data``, ``train`` or ``evaluate`` as its dataclass."""
        return instance(structure.settings_class(section), self.config[section])

    def misfits(self) -> list[Problem]:
        """What does not fit between neighbours (widths, rates, vocabularies); needs no data, weights or GPU."""
        entry = installed().registry.get("task", self.task)
        try:
            return list(entry.load().check(self.sections, **self.task_settings))
        except StentorError as error:
            return list(error.problems)
        except Exception as cause:  # whatever a stranger's check raises is its own failure
            reason = f"{type(cause).__name__}: {cause}"
            return [Problem(f"the check of task '{self.task}' of {entry.origin} failed: {reason}", "task")]

    def to_yaml(self) -> str:
        """YAML that `from_file` reads back to an equal recipe."""
        return reading.dump(self.config)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], registry: Registry | None = None) -> Recipe:
        """Check plain data, e.g. of a run; nothing is composed.

        Raises:
            StentorError: with everything that is wrong.
        """
        found, problems = structure.check(config, registry or installed().registry)
        if problems:
            raise StentorError(problems=structure.by_place(problems))
        return cls(found)

    @classmethod
    def from_file(cls, path: Path, registry: Registry | None = None) -> Recipe:
        """Read a complete configuration such as the ``config.yaml`` of a run.

        Raises:
            StentorError: with everything that is wrong, and the lines.
        """
        document = reading.read(Path(path))
        found, problems = structure.check(document.data, registry or installed().registry)
        problems = [*document.problems, *(structure.located(one, document.where(one.path)) for one in problems)]
        if problems:
            raise StentorError(problems=structure.by_place(problems))
        return cls(found)
