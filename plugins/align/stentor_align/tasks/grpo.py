"""Task ``grpo``: reinforcement learning with the other responses to a prompt as the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.interfaces.task import Loss
from stentor_align.losses import advantages, clipped, kl
from stentor_align.losses.clipped import Average
from stentor_align.losses.sequences import mean_of_all, padded
from stentor_align.rewards.safety import PATIENCE
from stentor_align.rollout import PLAIN, SamplingSettings
from stentor_align.tasks.experience import Experience, Unfinished, chosen
from stentor_align.tasks.reinforced import ReinforcedTask, several
from stentor_align.workers.settings import ALONE, WorkerSettings


class GRPOTask(ReinforcedTask):
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) of another run's policy.

    Each prompt of a batch gets a group of responses. What a response scored above the mean of its group makes its
    tokens likelier, without a value model: the advantages of a group have mean 0. Responses that no reward could be
    found for are left out; a group whose rewards are all equal teaches nothing and is not even read, unless `kl` holds
    it.

    Args:
        run: folder of the run whose policy is tuned.
        reward: what is rewarded.
        samples: responses to each prompt, the group.
        sampling: how they are sampled.
        iterations: how often each response is learnt from; batches that come in between are passed over.
        clip: how far from 1 a probability ratio may still gain.
        clip_high: the same above 1; null: as `clip` (arXiv 2503.14476 has 0.28 here, 0.2 there).
        average: over tokens and responses, which decides how length counts: ``response`` as in the paper, ``token`` as
            in DAPO, ``constant`` as in Dr. GRPO.
        scaled: divide advantages by the standard deviation of the group; Dr. GRPO does not (arXiv 2503.20783).
        kl: weight of the divergence from the reference, per token; 0 keeps no reference.
        reference: a ``frozen`` copy of the policy, or the policy with its LoRA ``adapters-off``.
        reference_run: another run to be the frozen reference; empty: the policy as it began.
        unfinished: whether responses that reach their longest length count like the others, or are left out.
        left_out: blocks of the vocabulary whose tokens bear no loss, e.g. those of audio codes.
        judge: what else scores responses in validation, never learnt from: a reward that this one is not a part of.
        timeout: seconds after which the rewards of a batch are given up, and its responses left out; 0: never.
        workers: whether rollout and reward have processes, and devices, of their own.
    """

    def __init__(
        self,
        policy: Any,
        *,
        run: str = "",
        reward: Annotated[Mapping[str, Any], ComponentOf("reward")] = {"name": "format"},
        samples: int = 8,
        sampling: SamplingSettings = PLAIN,
        iterations: int = 1,
        clip: float = 0.2,
        clip_high: float | None = None,
        average: Average = "token",
        scaled: bool = True,
        kl: float = 0.0,
        reference: Literal["frozen", "adapters-off"] = "frozen",
        reference_run: str = "",
        unfinished: Unfinished = "score",
        left_out: Sequence[str] = (),
        judge: Annotated[Mapping[str, Any] | None, ComponentOf("reward")] = None,
        timeout: float = PATIENCE,
        workers: WorkerSettings = ALONE,
    ) -> None:
        several(samples, "GRPO")
        high = clip if clip_high is None else clip_high
        given = {"clip": clip, "clip_high": high, "kl": kl}
        ranges.refuse({name: (value, ranges.least(value, 0)) for name, value in given.items()}, "task.")
        super().__init__(
            policy,
            run=run,
            reward=reward,
            samples=samples,
            sampling=sampling,
            iterations=iterations,
            unfinished=unfinished,
            left_out=left_out,
            judge=judge,
            timeout=timeout,
            workers=workers,
            reference=reference if kl else "none",
            reference_run=reference_run,
        )
        self.clip, self.clip_high, self.average, self.scaled, self.kl = clip, clip_high, average, scaled, kl

    def prepare(self, found: Experience) -> dict[str, Any]:
        gains = advantages.of_groups(found.rewards, self.samples, scaled=self.scaled)
        rows = [row for row in found.usable if self.kl or gains[row] != 0]
        extra: dict[str, Any] = {"gains": gains, "rows": rows}
        if self.kl and rows:
            extra["reference"] = self.referred(found, rows)
        return extra

    def learn(self, found: Experience, extra: dict[str, Any]) -> Loss:
        rows, usable = extra["rows"], found.usable
        groups = extra["gains"].view(-1, self.samples)
        told = {"advantage": groups.abs().mean(), "off_centre": groups.mean(1).abs().amax()}
        told["level"] = (groups == 0).all(1).float().mean()
        if not rows:
            return self.tuned(None, 0, {**told, "clipped": 0.0, "kl": 0.0})
        scored, _ = self.scored(self.policy, found, rows)
        values, mask = scored.rows()
        old = values.detach()
        if not self.on_policy:
            old = padded(chosen(found.rollout.log_probs, rows).to(values.device), scored.lengths)
        gains = extra["gains"][rows].to(values.device)
        low, high = self.clip, self.clip_high
        losses = clipped.policy(values, old, gains, low=low, high=high)
        told["clipped"] = clipped.clipped_share(values.detach(), old, gains, mask, low=low, high=high)
        told["kl"] = torch.zeros(())
        if self.kl:
            other = padded(extra["reference"].to(values.device), scored.lengths)
            losses = losses + self.kl * kl.penalty(values, old, other)
            told["kl"] = mean_of_all(kl.divergence(values.detach(), other, "k3"), mask)
        counted = {"rows": len(usable), "tokens": self.counted(found, usable)}
        value = clipped.averaged(losses, mask, self.average, longest=self.longest(found), **counted)
        return self.tuned(value, int(mask.sum()), told)
