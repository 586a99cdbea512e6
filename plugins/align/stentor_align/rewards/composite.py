"""Reward ``composite``: named parts with weights, shapes, bounds and gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.train.assembly import build
from stentor_align.rewards import safety
from stentor_align.rewards.safety import Items
from stentor_align.rewards.shaping import Shape, shaped


@dataclass(kw_only=True)
class Part:
    """One part of a composed reward.

    Attributes:
        reward: what scores.
        weight: of its shaped score in the total.
        shape: how its score is shaped (`stentor_align.rewards.shaping`).
        scale: how much of its score counts as 1; not for ``threshold``.
        threshold: from where on a ``threshold`` gives 1, and a gate is open.
        low: least shaped score; null: none.
        high: greatest shaped score; null: none.
        gate: weigh nothing, but close the whole reward where its score is below `threshold`.
        needed: a sample that it cannot score is left out; else the part counts as 0 there.
        timeout: seconds after which a batch is given up; 0: never.
    """

    reward: Annotated[Mapping[str, Any], ComponentOf("reward")]
    weight: float = 1.0
    shape: Shape = "linear"
    scale: float = 1.0
    threshold: float = 0.0
    low: float | None = None
    high: float | None = None
    gate: bool = False
    needed: bool = True
    timeout: float = 0.0

    def __post_init__(self) -> None:
        bounds = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        ranges.check(
            self,
            {
                "scale": ranges.above_zero(self.scale),
                "timeout": ranges.least(self.timeout, 0),
                "low": (bounds[0] <= bounds[1], f"at most high, {self.high}, not {self.low}"),
            },
        )

    def share(self, scores: Tensor) -> Tensor:
        """Its weighted share float [B] of the total."""
        found = shaped(scores, self.shape, scale=self.scale, threshold=self.threshold)
        return self.weight * found.clamp(self.low, self.high) if self.bounded else self.weight * found

    @property
    def bounded(self) -> bool:
        return self.low is not None or self.high is not None


class CompositeReward(Reward):
    """The weighted sum of named parts, each of which is a reward of its own.

    Parts of the result are each part's own score under its name, its parts as ``name/part``, and under ``failed/name``
    1 where it could not score (it raised, took too long or gave no finite number). A sample that a needed part cannot
    score has NaN for a total and is left out by whoever learns from it.

    Args:
        parts: name -> part.
        closed: the total where a gate is closed.
    """

    nature = "verifiable"

    def __init__(
        self, *, parts: Mapping[str, Part] = {"format": Part(reward={"name": "format"})}, closed: float = 0.0
    ) -> None:
        if not parts:
            raise StentorError("a composed reward needs at least one part.", path="reward.parts")
        self.closed = closed
        self.parts = {name: one if isinstance(one, Part) else Part(**one) for name, one in parts.items()}
        self.rewards: dict[str, Reward] = {
            name: build("reward", part.reward, path=f"reward.parts.{name}.reward") for name, part in self.parts.items()
        }

    def load_pretrained(self) -> dict[str, str]:
        found = {name: reward.load_pretrained() for name, reward in self.rewards.items()}
        return {f"{name}.{key}": value for name, told in found.items() for key, value in told.items()}

    def to(self, device: torch.device) -> None:
        for reward in self.rewards.values():
            reward.to(device)

    def score(self, prompts: Items, responses: Items) -> Scores:
        total = torch.zeros(len(responses))
        unusable = torch.zeros(len(responses), dtype=torch.bool)
        closed = torch.zeros(len(responses), dtype=torch.bool)
        told: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            scores = safety.score(self.rewards[name], prompts, responses, timeout=part.timeout, name=name)
            told |= {name: scores.total} | {f"{name}/{key}": value for key, value in scores.parts.items()}
            failed = scores.total.isnan()
            told[f"failed/{name}"] = failed.float()
            unusable |= failed & part.needed
            if part.gate:
                closed |= ~(scores.total >= part.threshold)  # what fails does not open it
            else:
                total += part.share(scores.total).nan_to_num(0.0)
        total = torch.where(closed, torch.tensor(self.closed), total)
        return Scores(total.masked_fill(unusable, torch.nan), told)
