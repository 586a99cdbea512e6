"""Drift: how long and how various responses are, against those of what the policy began as, to the same prompts.

A reward is often gamed by length (Singhal et al. 2023, arXiv 2310.03716), and a policy that collapsed says one thing
over and over. Neither is seen in a reward that rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from stentor.interfaces.policy import Policy
from stentor_align import rollout
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks.figures import Figures


@dataclass(frozen=True)
class Manner:
    """What responses are like.

    Attributes:
        length: their mean length (tokens).
        distinct: share of different ones among the responses to a prompt, the mean over prompts.
    """

    length: float
    distinct: float


def manner(made: Rollout) -> Manner:
    """What sampled responses are like; 0 where there are none."""
    groups: dict[int, list[tuple[int, ...]]] = {}
    for owner, tokens in zip(made.owners, made.tokens, strict=True):
        groups.setdefault(owner, []).append(tuple(tokens))
    shares = [len(set(group)) / len(group) for group in groups.values()]
    count = max(1, len(made.tokens))
    return Manner(sum(map(len, made.tokens)) / count, sum(shares) / max(1, len(shares)))


def apart(now: Rollout, before: Manner) -> Figures:
    """How sampled responses differ from how responses to the same prompts were.

    ``drift/length`` is a ratio, 1 where nothing changed; ``drift/distinct`` is a difference, 0 where nothing did. Where
    each prompt has a single response, that differs from none, and only the length is told.
    """
    found, told = manner(now), Figures()
    groups, count = len(set(now.owners)), len(now.tokens)
    if before.length:
        told.update(Figures({"drift/length": found.length / before.length}, {"drift/length": count}))
    if count > groups:
        told.update(Figures({"drift/distinct": found.distinct - before.distinct}, {"drift/distinct": groups}))
    return told


@dataclass
class Drift:
    """Compares samples with those that another policy gives to the same prompts with the same seed.

    The other policy samples once for each batch: validation asks the same prompts every time, and what a policy is held
    to does not change.
    """

    _known: dict[tuple[Any, ...], Manner] = field(default_factory=dict, repr=False)

    @torch.no_grad()
    def figures(
        self,
        other: Policy,
        batch: Mapping[str, Any],
        made: Rollout,
        sampling: SamplingSettings,
        *,
        samples: int,
        seed: int = 0,
    ) -> Figures:
        """What `apart` tells of the policy's responses.

        Args:
            other: what the policy began as, in evaluation mode.
            batch: from the loader.
            made: the policy's responses to it.
            sampling: how they were sampled.
            samples: how many to each prompt.
            seed: that they were sampled with.
        """
        key = (repr([batch.get(name) for name in ("ids", "texts", "custom")]), sampling, samples, seed)
        if key not in self._known:
            theirs = rollout.sample(other, other.ask(batch), sampling, samples=samples, seed=seed)
            self._known[key] = manner(theirs)
        return apart(made, self._known[key])
