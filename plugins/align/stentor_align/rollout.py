"""Rollouts: what a policy says to prompts, under its own grammar, with the probabilities that it was sampled with.

Probabilities are those of the distribution that tokens are drawn from: logits divided by the temperature, among what
the grammar allows. Truncation (`top_k`, `top_p`) is not counted in: what it cuts off depends on the weights, so that a
ratio of truncated probabilities has no gradient that means anything; with truncation, samples come from a little nearer
to the policy's best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.interfaces.policy import Policy, Prompts
from stentor_align import legal, logprobs
from stentor_align.logprobs import Read, Scored


@dataclass(frozen=True)
class SamplingSettings:
    """How responses are sampled.

    Attributes:
        temperature: divides the logits.
        top_k: sample among the `top_k` best tokens only; 0: among all.
        top_p: sample among the fewest best tokens that together have this probability.
        longest: most tokens of a response; 0: as many as the policy's task allows.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    longest: int = 0

    def __post_init__(self) -> None:
        ranges.check(
            self,
            {
                "temperature": ranges.above_zero(self.temperature),
                "top_k": ranges.least(self.top_k, 0),
                "top_p": (0 < self.top_p <= 1, f"more than 0 and at most 1, not {self.top_p:g}"),
                "longest": ranges.least(self.longest, 0),
            },
        )

    @classmethod
    def of(cls, given: SamplingSettings | Mapping[str, Any]) -> SamplingSettings:
        """What a component's constructor is given, as settings."""
        return given if isinstance(given, SamplingSettings) else cls(**given)

    def longest_of(self, prompts: Prompts) -> list[int]:
        """Most tokens of a response to each prompt."""
        return [min(count, self.longest or count) for count in prompts.longest]


PLAIN = SamplingSettings()
"""Sampling from the policy as it is."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """Responses to a batch of prompts, those to one prompt side by side.

    Attributes:
        tokens: ids of each response, the stop id included where it came.
        owners: which prompt each answers.
        log_probs: float32 [len(tokens[i])] of each, as they were sampled.
        ended: whether each came to its own end rather than to its longest length.
    """

    tokens: list[list[int]]
    owners: list[int]
    log_probs: list[Tensor]
    ended: list[bool]

    def chosen(self, rows: Sequence[int]) -> Rollout:
        """The responses `rows`, in that order."""
        tokens, owners = [self.tokens[row] for row in rows], [self.owners[row] for row in rows]
        return Rollout(tokens, owners, [self.log_probs[row] for row in rows], [self.ended[row] for row in rows])

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it; the constructor takes it back."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def cpu(self) -> Rollout:
        """The same with its tensors on the CPU."""
        return replace(self, log_probs=[values.cpu() for values in self.log_probs])


def sample(
    policy: Policy, prompts: Prompts, settings: SamplingSettings, *, samples: int = 1, seed: int | None = None
) -> Rollout:
    """`samples` responses to each prompt; a prompt is read once for all of them.

    Args:
        policy: in evaluation mode.
        prompts: what it answers.
        settings: how to sample.
        samples: responses to each prompt.
        seed: the same seed gives the same responses; None draws one from torch's source, which checkpoints keep.
    """
    longest = settings.longest_of(prompts)
    made = generate(
        policy.backbone,
        prompts.embeddings,
        GenerationSettings(
            max_new_tokens=max(longest),
            stop_ids=prompts.stop_ids,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            seed=int(torch.randint(1 << 62, ())) if seed is None else seed,
            log_probs="policy",
            samples=samples,
        ),
        grammar=prompts.grammar,
        stop=lambda row, tokens: len(tokens) >= longest[row // samples],
    )
    owners = [row // samples for row in range(len(made.tokens))]
    log_probs = [values.clone() for values in made.log_probs or ()]
    return Rollout(made.tokens, owners, log_probs, [reason in ("stop", "grammar") for reason in made.reasons])


def rescore(
    policy: Policy, prompts: Prompts, rollout: Rollout, settings: SamplingSettings, *, bearing: Tensor | None = None
) -> tuple[Scored, Read]:
    """Log-probabilities of sampled responses under a policy, with gradient, as `sample` drew them.

    Args:
        policy: may have moved on since, or be the reference.
        prompts: what it makes of the batch.
        rollout: what was sampled.
        settings: how it was sampled.
        bearing: bool [V]: ids that count; None: all.
    """
    read = logprobs.read(policy.backbone, prompts.embeddings, rollout.tokens, rollout.owners)
    found = legal.along(prompts.grammars(rollout.owners), rollout.tokens)
    options: dict[str, Any] = {"temperature": settings.temperature, "legal": found, "bearing": bearing}
    return logprobs.score(policy.backbone, read, **options), read
