"""What became of the takes: how many came to each stage, how many it rejected, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stentor.data.quarantine import category
from stentor_tts.engine.work import VOICE

_EXAMPLES = 100
"""Takes of each stage that are remembered, for the report."""


@dataclass
class Stage:
    """One stage: its name, its options, how many takes came to it, and why it rejected how many."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    entered: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    def as_dict(self) -> dict[str, Any]:
        told = {"stage": self.name, "options": dict(self.options), "entered": self.entered, "rejected": self.rejected}
        return {**told, "reasons": dict(self.reasons.most_common())}


class Funnel:
    """Counts results of `stentor_tts.engine.work.carry_out`.

    Args:
        filters: sections ``{name, ...}`` in order.

    Attributes:
        examples: name of the stage that rejected them (empty: kept) -> the first takes.
    """

    def __init__(self, filters: Sequence[Mapping[str, Any]]) -> None:
        self.texts: Counter[str] = Counter()
        self.stages = [Stage(VOICE)]
        self.stages += [Stage(str(one["name"]), {k: v for k, v in one.items() if k != "name"}) for one in filters]
        self.voices: dict[str, list[int]] = {}
        self.examples: dict[str, list[Mapping[str, Any]]] = {}

    def add(self, told: Mapping[str, Any]) -> str:
        """Count a take; gives the name of the stage that rejected it, empty if it is kept."""
        stage = told.get("stage")
        last = 0 if stage == VOICE else len(self.stages) - 1 if stage is None else int(stage) + 1
        for passed in self.stages[: last + 1]:
            passed.entered += 1
        counts = self.voices.setdefault(told["voice"], [0, 0])
        counts[0] += 1
        name = "" if stage is None else self.stages[last].name
        if stage is None:
            counts[1] += 1
        else:
            self.stages[last].reasons[category(told["reason"])] += 1
        examples = self.examples.setdefault(name, [])
        examples += [told] * (len(examples) < _EXAMPLES)
        return name

    @property
    def kept(self) -> int:
        """Takes that passed everything."""
        return sum(kept for _, kept in self.voices.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``summary.json``."""
        voices = {name: {"takes": takes, "kept": kept} for name, (takes, kept) in sorted(self.voices.items())}
        told = {"takes": self.stages[0].entered, "kept": self.kept, "stages": [one.as_dict() for one in self.stages]}
        return {"texts_rejected": dict(self.texts), **told, "voices": voices}

    def lines(self) -> list[str]:
        """Two tables in plain words: by stage, and by voice."""
        stages = [(one.name, str(one.entered), str(one.rejected),
                   "; ".join(f"{count} x {reason}" for reason, count in one.reasons.most_common(3)))
                  for one in self.stages]  # fmt: skip
        voices = [(name, str(takes), str(kept), "") for name, (takes, kept) in sorted(self.voices.items())]
        return [
            *_table([("stage", "came to it", "rejected", "for"), *stages]),
            *_table([("voice", "takes", "kept", ""), *voices]),
        ]


def _table(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return [f"{name:<{wide[0]}}  {one:>{wide[1]}}  {two:>{wide[2]}}  {rest}".rstrip() for name, one, two, rest in rows]
