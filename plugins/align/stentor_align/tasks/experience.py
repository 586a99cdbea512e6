"""Experience: what a policy said, what it was rewarded with, and what of it is learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.interfaces.policy import Policy, Prompts
from stentor.interfaces.reward import Reward, Scores
from stentor_align import rollout, rows
from stentor_align.rewards import safety
from stentor_align.rollout import Rollout, SamplingSettings

Unfinished = Literal["score", "drop"]


@dataclass(eq=False)
class Experience:
    """Responses to a batch of prompts and their rewards; plain data, so that a checkpoint can keep it.

    Attributes:
        batch: from the loader, that the prompts are of.
        rollout: what was said.
        rewards: float32 [B]; NaN where a response is left out.
        numbers: what the log shows.
    """

    batch: dict[str, Any]
    rollout: Rollout
    rewards: Tensor
    numbers: dict[str, float]

    @property
    def usable(self) -> list[int]:
        """Which responses have a reward."""
        found: list[int] = (~self.rewards.isnan()).nonzero()[:, 0].tolist()
        return found


@torch.no_grad()
def gather(
    policy: Policy,
    batch: Mapping[str, Any],
    reward: Reward,
    settings: SamplingSettings,
    *,
    samples: int,
    seed: int | None = None,
    unfinished: Unfinished = "score",
) -> Experience:
    """Let a policy answer a batch, and reward what it says.

    Args:
        policy: in evaluation mode.
        batch: from the loader.
        reward: is given, of each prompt, what the policy tells of it and ``row``, the row of the batch itself.
        settings: how to sample.
        samples: responses to each prompt.
        seed: of the samples; None draws one.
        unfinished: what becomes of responses that reach their longest length: they count like the others, or not at
            all (arXiv 2503.14476).
    """
    made, _, scores = answered(policy, batch, reward, settings, samples=samples, seed=seed)
    rewards = scores.total.clone()
    if unfinished == "drop":
        rewards[~torch.tensor(made.ended, dtype=torch.bool)] = torch.nan
    return Experience(dict(batch), made, rewards, numbers(made, rewards, scores, samples))


@torch.no_grad()
def answered(
    policy: Policy,
    batch: Mapping[str, Any],
    reward: Reward,
    settings: SamplingSettings,
    *,
    samples: int,
    seed: int | None = None,
) -> tuple[Rollout, Sequence[Mapping[str, Any]], Scores]:
    """What a policy answers to a batch, what that means, and how it scores; arguments as for `gather`."""
    prompts, made, responses = said(policy, batch, settings, samples=samples, seed=seed)
    told = [{**asked, "row": row} for asked, row in zip(prompts.asked, rows.split(batch), strict=True)]
    scores = safety.score(reward, [told[owner] for owner in made.owners], responses, name=type(reward).__name__)
    return made, responses, scores


@torch.no_grad()
def said(
    policy: Policy, batch: Mapping[str, Any], settings: SamplingSettings, *, samples: int, seed: int | None = None
) -> tuple[Prompts, Rollout, Sequence[Mapping[str, Any]]]:
    """What a policy answers to a batch, and what that means, unscored; arguments as for `gather`."""
    prompts = policy.ask(batch)
    made = rollout.sample(policy, prompts, settings, samples=samples, seed=seed)
    return prompts, made, policy.responses(prompts, made.owners, made.tokens)


def numbers(made: Rollout, rewards: Tensor, scores: Scores, samples: int) -> dict[str, float]:
    """What the log shows of sampled responses: rewards and their parts, lengths, variety, how sure the policy was."""
    lengths = torch.tensor([float(len(row)) for row in made.tokens])
    groups = [made.tokens[start : start + samples] for start in range(0, len(made.tokens), samples)]
    distinct = [len({tuple(row) for row in group}) / len(group) for group in groups]
    return {
        "reward": known_mean(rewards),
        **{f"reward/{name}": known_mean(part.float().cpu()) for name, part in scores.parts.items()},
        "dropped": float(rewards.isnan().float().mean()),
        "length": float(lengths.mean()),
        "ended": sum(made.ended) / len(made.ended),
        "distinct": sum(distinct) / len(distinct),
        "entropy": -float(torch.cat(made.log_probs).mean()),
    }


def known_mean(values: Tensor) -> float:
    """The mean of what is no NaN; 0 where all of it is."""
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else 0.0


def to_state(found: Experience | None, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint keeps of experience that is still in use."""
    if found is None:
        return {}
    made = found.rollout
    kept = {"tokens": made.tokens, "owners": made.owners, "log_probs": made.log_probs, "ended": made.ended}
    state = {"batch": found.batch, "rollout": kept, "rewards": found.rewards, "numbers": found.numbers}
    return {**state, "extra": dict(extra)}


def from_state(state: Mapping[str, Any]) -> tuple[Experience | None, dict[str, Any]]:
    """What `to_state` was given."""
    if not state:
        return None, {}
    made = Rollout(**state["rollout"])
    return Experience(state["batch"], made, state["rewards"], state["numbers"]), dict(state["extra"])


def chosen(values: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    """The values of the responses `rows`, end to end."""
    return torch.cat([values[row] for row in rows]) if rows else torch.zeros(0)
