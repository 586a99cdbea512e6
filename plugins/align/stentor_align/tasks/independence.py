"""Who may judge: what gives the reward cannot tell whether the reward was gamed, however its options are turned.

A judge is no outsider when it is the reward itself or a kind of it (``cer`` beside ``wer`` counts the same errors in
letters), by the same model. How scores are shaped, normalised or asked for does not make another judge of it. The same
kind by another model is an outsider: ``intelligibility`` as whisper hears may judge what was rewarded as moonshine
hears.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stentor.config import schema, typing_rules
from stentor.errors import StentorError
from stentor.plugins import registry

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Scorer:
    """Who decides about a reward's scores.

    Attributes:
        name: in the registry.
        cls: its class.
        models: (option, value) of every option that names a model (`Reward.models`), those of components in it too.
    """

    name: str
    cls: type
    models: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, section: Section) -> Scorer:
        """The scorer of a reward's section."""
        found: type = registry().get("reward", section["name"]).load()
        return cls(str(section["name"]), found, frozenset(_models("reward", section)))

    def objection(self, other: Scorer) -> str:
        """Why the one cannot judge the other; empty where it can."""
        for option, value in sorted(self.models & other.models):
            if option == "run":
                return f"both ask the run {value}"
        kin = issubclass(self.cls, other.cls) or issubclass(other.cls, self.cls)
        if not kin or self.models != other.models:
            return ""
        asked = ", ".join(f"{option} {value}" for option, value in sorted(self.models) if option != "name")
        return f"both ask the same model ({asked})" if asked else "both follow the same rule"


def refuse(judges: Iterable[Section], rewards: Iterable[Section]) -> None:
    """Refuse judges of which one is what gives the reward.

    Args:
        judges: sections of what is to judge, none of which is made of others.
        rewards: sections of what rewards, likewise.

    Raises:
        StentorError: then.
    """
    rewarded = [Scorer.of(one) for one in rewards]
    for judge in map(Scorer.of, judges):
        for one in rewarded:
            if told := judge.objection(one):
                others = getattr(judge.cls, "models", ())
                instead = f"name another reward, or another {' or '.join(others)}" if others else "name another reward"
                refused = f"'{judge.name}' cannot be the judge of what '{one.name}' has rewarded, since {told}"
                raise StentorError(f"{refused}; {instead}.", path="task.judge", value=judge.name)


def _models(kind: str, section: Section) -> Iterator[tuple[str, str]]:
    """What `Scorer.models` holds for a component of `kind`, defaults included."""
    entry = registry().get(kind, section["name"])
    for option in getattr(entry.load(), "models", ()):
        field = schema.of(entry).field(option)
        if field is None:
            continue
        value, within = section.get(option, field.default), typing_rules.reference(field.hint)
        if within is None:
            yield option, str(Path(value).resolve()) if option == "run" else _shown(value)
        elif value is not None:
            inner = {"name": value} if isinstance(value, str) else value
            yield "name", f"{within.kind} {inner['name']}"
            yield from _models(within.kind, inner)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
