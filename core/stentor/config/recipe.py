"""A composed recipe: plain data, checked, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

    @property
    def decoders(self) -> list[str]:
        """The roles that decoders play: what may be exchanged in a trained run, as it holds no weights."""
        return [role for role, kind in self.roles.items() if kind == "decoder"]

    def exchanged(self, changes: Sequence[str]) -> Recipe:
        """The recipe with other decoders, or other settings of them.

        Args:
            changes: such as ``decoder=ctc-beam`` and ``decoder.beam=32``.

        Raises:
            StentorError: for a change of anything else, and for everything that does not fit.
        """
        # Hydra takes a tenth of a second to import; settings alone are read without it
        from omegaconf import OmegaConf

        from stentor.config import overrides

        given, problems = overrides.parse(changes)
        config = OmegaConf.create(self.config)
        for one in given:
            role, _, setting = one.key.partition(".")
            if role not in self.decoders:
                problems.append(Problem("only the decoder of a trained run can be exchanged.", one.key, one.text,
                                        tuple(self.decoders)))  # fmt: skip
            elif setting:
                problems += [problem] if (problem := overrides.apply(config, one)) else []
            elif one.value != config[role]["name"]:
                config[role] = {"name": one.value}
        if problems:
            raise StentorError(problems=problems)
        plain: Any = OmegaConf.to_container(config, resolve=False)
        return Recipe.from_dict(plain)

    def misfits(self) -> list[Problem]:
        """What components refuse, and what does not fit between neighbours; needs no data, weights or GPU."""
        found = [problem for role in self.sections for problem in self._refusals(role)]
        entry = installed().registry.get("task", self.task)
        try:
            task = entry.load()
            found += task.check(self.sections, **self.task_settings)
            found += task.check_recipe(self.config)
        except StentorError as error:
            found += error.problems
        except Exception as cause:  # whatever a stranger's check raises is its own failure
            reason = f"{type(cause).__name__}: {cause}"
            if not found:  # else it may well follow from what a component refused
                found.append(Problem(f"the check of task '{self.task}' of {entry.origin} failed: {reason}", "task"))
        return structure.by_place(found)

    def facts(self, role: str) -> str:
        """What neighbours know of the component that plays `role`, unbuilt: widths, rates (Hz), strides.

        Raises:
            StentorError: when the component refuses its settings.
        """
        section = self.sections[role]
        settings = {key: value for key, value in section.items() if key != "name"}
        cls = installed().registry.get(self.roles[role], section["name"]).load()
        if hasattr(cls, "spec"):
            return str(cls.spec(**settings))
        if hasattr(cls, "stride_of"):
            return f"one of {cls.stride_of(**settings)} frames"
        if hasattr(cls, "dim_of"):
            return f"{cls.dim_of(**settings)} wide"
        if self.roles[role] == "tokenizer" and hasattr(cls, "encode"):
            cls(**settings)  # before its training a text tokenizer is light to build
        return ""

    def _refusals(self, role: str) -> list[Problem]:
        """What the component that plays `role` has against its own settings."""
        try:
            self.facts(role)
        except StentorError as error:
            return [replace(problem, path=self._place(role, problem.path)) for problem in error.problems]
        except Exception as cause:  # whatever a stranger's component raises is its own failure
            name = self.sections[role]["name"]
            return [Problem(f"'{name}' refuses its settings: {type(cause).__name__}: {cause}", role)]
        return []

    def _place(self, role: str, path: str) -> str:
        """A component knows its kind, or only its setting, but not its role."""
        kind = self.roles[role]
        setting = path.removeprefix(f"{kind}.").removeprefix(f"{role}.")
        return role if setting in ("", kind, role) else f"{role}.{setting}"

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
