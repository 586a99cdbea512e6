"""Experience: what a policy said, what it was rewarded with, and what of it is learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from stentor.interfaces.policy import Policy, Prompts
from stentor.interfaces.reward import Reward, Scores
from stentor_align import rollout, rows
from stentor_align.rewards import safety
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks.figures import Figures

Unfinished = Literal["score", "drop"]


class Answers(NamedTuple):
    """What a policy said to a batch, unscored.

    Attributes:
        asked: of each prompt, what rewards may read: what the policy tells of it and ``row``, the batch's row itself.
        rollout: what was sampled.
        responses: what that means.
    """

    asked: Sequence[Mapping[str, Any]]
    rollout: Rollout
    responses: Sequence[Mapping[str, Any]]

    @property
    def prompts(self) -> list[Mapping[str, Any]]:
        """What each response answers."""
        return [self.asked[owner] for owner in self.rollout.owners]


@dataclass(eq=False)
class Experience:
    """Responses to a batch of prompts and their rewards; plain data, so that a checkpoint can keep it.

    Attributes:
        batch: from the loader, that the prompts are of.
        rollout: what was said.
        rewards: float32 [B]; NaN where a response is left out.
        figures: what the log shows.
    """

    batch: dict[str, Any]
    rollout: Rollout
    rewards: Tensor
    figures: Figures

    @property
    def usable(self) -> list[int]:
        """Which responses have a reward."""
        found: list[int] = (~self.rewards.isnan()).nonzero()[:, 0].tolist()
        return found


@torch.no_grad()
def said(
    policy: Policy, batch: Mapping[str, Any], settings: SamplingSettings, *, samples: int, seed: int | None = None
) -> Answers:
    """Let a policy answer a batch.

    Args:
        policy: in evaluation mode.
        batch: from the loader.
        settings: how to sample.
        samples: responses to each prompt.
        seed: of the samples; None draws one.
    """
    prompts = policy.ask(batch)
    made = rollout.sample(policy, prompts, settings, samples=samples, seed=seed)
    return meant(policy, batch, prompts, made)


def meant(policy: Policy, batch: Mapping[str, Any], prompts: Prompts, made: Rollout) -> Answers:
    """What was sampled to the prompts of a batch, for rewards."""
    asked = [{**one, "row": row} for one, row in zip(prompts.asked, rows.split(batch), strict=True)]
    return Answers(asked, made, policy.responses(prompts, made.owners, made.tokens))


@torch.no_grad()
def answered(
    policy: Policy,
    batch: Mapping[str, Any],
    reward: Reward,
    settings: SamplingSettings,
    *,
    samples: int,
    seed: int | None = None,
    timeout: float = 0.0,
) -> tuple[Rollout, Sequence[Mapping[str, Any]], Scores]:
    """What a policy answers to a batch, what that means, and how it scores; arguments as for `said` and `rewarded`."""
    answers = said(policy, batch, settings, samples=samples, seed=seed)
    scores = safety.score(reward, answers.prompts, answers.responses, timeout=timeout, name=type(reward).__name__)
    return answers.rollout, answers.responses, scores


@torch.no_grad()
def rewarded(
    batch: Mapping[str, Any],
    answers: Answers,
    reward: Reward,
    *,
    samples: int,
    unfinished: Unfinished = "score",
    timeout: float = 0.0,
) -> Experience:
    """Reward what a policy said.

    Args:
        batch: from the loader.
        answers: to it.
        reward: scores them.
        samples: responses to each prompt.
        unfinished: what becomes of responses that reach their longest length: they count like the others, or not at
            all (arXiv 2503.14476).
        timeout: seconds after which the batch's scores are given up; 0: never.
    """
    made = answers.rollout
    scores = safety.score(reward, answers.prompts, answers.responses, timeout=timeout, name=type(reward).__name__)
    rewards = scores.total.clone()
    if unfinished == "drop":
        rewards[~torch.tensor(made.ended, dtype=torch.bool)] = torch.nan
    return Experience(dict(batch), made, rewards, figures(made, rewards, scores, samples))


def figures(made: Rollout, rewards: Tensor, scores: Scores, samples: int) -> Figures:
    """What the log shows of sampled responses: rewards and their parts, lengths, variety, how sure the policy was."""
    groups = [made.tokens[start : start + samples] for start in range(0, len(made.tokens), samples)]
    found = Figures()
    found.add("reward", rewards)
    for name, part in scores.parts.items():
        found.add(f"reward/{name}", part)
    found.add("dropped", rewards.isnan().float())
    found.add("length", [float(len(row)) for row in made.tokens])
    found.add("ended", [float(ended) for ended in made.ended])
    found.add("distinct", [len({tuple(row) for row in group}) / len(group) for group in groups])
    found.add("entropy", -torch.cat(made.log_probs))
    return found


def to_state(found: Experience | None, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint keeps of experience that is still in use."""
    if found is None:
        return {}
    told = {"means": found.figures.means, "counts": found.figures.counts}
    state = {"batch": found.batch, "rollout": found.rollout.state(), "rewards": found.rewards, "figures": told}
    return {**state, "extra": dict(extra)}


def from_state(state: Mapping[str, Any]) -> tuple[Experience | None, dict[str, Any]]:
    """What `to_state` was given."""
    if not state:
        return None, {}
    made = Rollout(**state["rollout"])
    return Experience(state["batch"], made, state["rewards"], Figures(**state["figures"])), dict(state["extra"])


def chosen(values: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    """The values of the responses `rows`, end to end."""
    return torch.cat([values[row] for row in rows]) if rows else torch.zeros(0)
