"""Rewards: scores for responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
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
        models: options that say which model scores, such as ``run``. Rewards of one name that agree in these are of one
            opinion, so that neither can judge what the other has rewarded.
    """

    nature: ClassVar[Literal["verifiable", "learned", "generative"]]
    models: ClassVar[tuple[str, ...]] = ()

    def to(self, device: torch.device) -> None:
        """Move what it computes with to a device; a rule, and what has no model of its own, need not."""

    @abstractmethod
    def score(self, prompts: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]]) -> Scores:
        """Score each (prompt, response) pair.

        Args:
            prompts: what was asked, e.g. ``{"reference": "turn left"}``; keys are the reward's documented ones.
            responses: what came back, e.g. ``{"text": "turn left"}``.
        """
