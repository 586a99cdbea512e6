"""Rewards: scores for responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from stentor.interfaces.component import Component


@dataclass(frozen=True)
class Scores:
    """Total float [B] and its named parts, each float [B]; NaN marks a response that could not be scored."""

    total: Tensor
    parts: Mapping[str, Tensor]


class Reward(Component, ABC):
    """Scores a batch of responses to prompts.

    Attributes:
        nature: ``verifiable`` (a rule), ``learned`` (a trained head) or ``generative`` (a judge model's words).
    """

    nature: ClassVar[Literal["verifiable", "learned", "generative"]]

    @abstractmethod
    def score(self, prompts: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]]) -> Scores:
        """Score each (prompt, response) pair.

        Args:
            prompts: what was asked, e.g. ``{"reference": "turn left"}``; keys are the reward's documented ones.
            responses: what came back, e.g. ``{"text": "turn left"}``.
        """
