"""What is watched of a policy that learns from pairs: it answers nothing in training, so validation asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.policy import Prompts
from stentor.interfaces.reward import Reward
from stentor.train.assembly import build
from stentor_align import rollout
from stentor_align.rewards import safety
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks import guards
from stentor_align.tasks.drift import Drift, manner
from stentor_align.tasks.experience import Experience
from stentor_align.tasks.figures import Figures

_SEED = 0


class Watch:
    """Samples responses in validation, the same every time, and measures them.

    Args:
        judge: section of a reward that scores them, or None.
        samples: to each prompt; 0: none, and nothing is measured.
        sampling: how.

    Raises:
        StentorError: for a judge of nothing.
    """

    def __init__(self, judge: Mapping[str, Any] | None, samples: int, sampling: SamplingSettings) -> None:
        ranges.refuse({"samples": (samples, ranges.least(samples, 0))}, "task.")
        if judge is not None and not samples:
            raise StentorError("a judge needs something to judge: samples must be at least 1.", path="task.samples",
                               value=samples)  # fmt: skip
        self.samples, self.sampling = samples, sampling
        self._judge: Reward | None = None if judge is None else build("reward", judge, path="task.judge")
        self._loaded = False
        self._drift = Drift()

    def __bool__(self) -> bool:
        return self.samples > 0

    def load_judge(self) -> None:
        """Read the judge's weights, once; a policy that is loaded to speak or to be merged needs none of them."""
        if self._judge is not None and not self._loaded:
            self._judge.load_pretrained()
            self._loaded = True

    @torch.no_grad()
    def figures(
        self, policy: Any, batch: Mapping[str, Any], origin: Callable[[], AbstractContextManager[Any]]
    ) -> Figures:
        """``length``, ``distinct``, ``divergence``, ``drift/length``, ``drift/distinct``, and what the judge says.

        ``probe/empty``, ``probe/repeated`` and ``probe/longest`` are the nats by which cheap tricks (`guards.tricks`)
        have become likelier: what pairs reward (arXiv 2305.18290, equation 5), but for a factor. A trick that is not
        legal under the policy's grammar is missing.

        Args:
            policy: in evaluation mode.
            batch: from the loader.
            origin: gives what the policy began as, or None; inside of it the policy itself may be that.
        """
        self.load_judge()
        prompts = policy.ask(batch)
        made = rollout.sample(policy, prompts, self.sampling, samples=self.samples, seed=_SEED)
        unknown = torch.full((len(made.tokens),), torch.nan)
        found, told = Experience(dict(batch), made, unknown, Figures()), Figures()
        own = manner(made)
        told.add("length", [own.length] * len(made.tokens))
        told.add("distinct", [own.distinct] * len(set(made.owners)))
        tricks = dict(_tricks(prompts, made, self.sampling))
        now = {name: self._likely(policy, batch, trick) for name, trick in tricks.items()}
        with origin() as other:
            if other is not None:
                for name, trick in tricks.items():
                    told.add(f"probe/{name}", now[name] - self._likely(other, batch, trick))
                told.update(guards.divergence(other, found, self.sampling))
                told.update(self._drift.figures(other, batch, made, self.sampling, samples=self.samples, seed=_SEED))
        if self._judge is not None:
            told.update(guards.judged(policy, found, self._judge, timeout=safety.PATIENCE))
        return told

    def _likely(self, policy: Any, batch: Mapping[str, Any], made: Rollout) -> Tensor:
        """Log-probability of each response, float [B]."""
        return rollout.rescore(policy, policy.ask(batch), made, self.sampling)[0].totals()[0].cpu()


def _tricks(prompts: Prompts, made: Rollout, sampling: SamplingSettings) -> Iterator[tuple[str, Rollout]]:
    """Name and responses of every trick that is legal for a prompt."""
    for name, responses in guards.tricks(prompts, made, sampling.longest_of(prompts)).items():
        there = [row for row, tokens in enumerate(responses) if tokens]
        if there:
            yield name, Rollout([responses[row] for row in there], there, [], [])
