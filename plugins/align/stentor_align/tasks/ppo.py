"""Task ``ppo``: reinforcement learning with a critic that values every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.errors import StentorError
from stentor.interfaces.task import Loss
from stentor_align import logprobs, rollout
from stentor_align.losses import advantages, clipped, kl
from stentor_align.losses.sequences import mean_of_all, padded, valid, whitened
from stentor_align.rewards.safety import PATIENCE
from stentor_align.rollout import PLAIN, SamplingSettings
from stentor_align.tasks.critic import Critic, Kind
from stentor_align.tasks.experience import Experience, Unfinished, chosen
from stentor_align.tasks.reinforced import ReinforcedTask
from stentor_align.workers.settings import ALONE, WorkerSettings


class PPOTask(ReinforcedTask):
    """Proximal policy optimisation (arXiv 1707.06347) of another run's policy, held to its reference.

    The reward of a response stands at its last token; every token pays for its divergence from the reference. A critic
    predicts what is to come before each token, and advantages are generalised ones (arXiv 1506.02438). In the first
    steps only the critic learns; the policy stays bit-identical meanwhile (with several processes, if
    `train.weight_decay` is 0). Defaults are those of Step-Audio and Step-Audio-EditX (arXiv 2502.11946, 2511.03601).

    Args:
        run: folder of the run whose policy is tuned.
        reward: what is rewarded.
        samples: responses to each prompt.
        sampling: how they are sampled.
        iterations: how often each response is learnt from; batches that come in between are passed over.
        clip: how far from 1 a probability ratio may still gain.
        critic: a backbone of its ``own``, which begins as the policy's, or a ``head`` on the policy's hidden states.
        warmup: steps in which the critic alone learns.
        value_weight: of the critic's loss.
        value_clip: how far a value may move from what it was and still gain; null: any way.
        discount: of what comes a token later.
        decay: of later surprises in an advantage, lambda.
        kl: weight of the divergence, per token; at the beginning, where `kl_target` is set.
        kl_target: divergence of a response that the weight is adapted to (nats); 0: the weight stays.
        kl_horizon: responses over which it adapts (arXiv 1909.08593).
        reference: a ``frozen`` copy of the policy, or the policy with its LoRA ``adapters-off``.
        reference_run: another run to be the frozen reference; empty: the policy as it began.
        unfinished: whether responses that reach their longest length count like the others, or are left out.
        left_out: blocks of the vocabulary whose tokens bear no loss.
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
        samples: int = 1,
        sampling: SamplingSettings = PLAIN,
        iterations: int = 1,
        clip: float = 0.2,
        critic: Kind = "own",
        warmup: int = 80,
        value_weight: float = 0.5,
        value_clip: float | None = 0.2,
        discount: float = 1.0,
        decay: float = 0.95,
        kl: float = 0.05,
        kl_target: float = 0.0,
        kl_horizon: int = 10000,
        reference: Literal["frozen", "adapters-off"] = "frozen",
        reference_run: str = "",
        unfinished: Unfinished = "score",
        left_out: Sequence[str] = (),
        judge: Annotated[Mapping[str, Any] | None, ComponentOf("reward")] = None,
        timeout: float = PATIENCE,
        workers: WorkerSettings = ALONE,
    ) -> None:
        given = {"clip": clip, "warmup": warmup, "value_weight": value_weight, "kl": kl, "kl_target": kl_target}
        wanted = {name: (value, ranges.least(value, 0)) for name, value in given.items()}
        wanted |= {name: (value, ranges.share(value)) for name, value in {"discount": discount, "decay": decay}.items()}
        ranges.refuse(wanted | {"kl_horizon": (kl_horizon, ranges.least(kl_horizon, 1))}, "task.")
        if kl_target and not kl:
            raise StentorError("kl is 0, so that there is nothing to adapt to it; set kl above 0, or leave it at 0.",
                               path="task.kl_target", value=kl_target)  # fmt: skip
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
        self.critic = Critic(policy, critic)
        self.clip, self.warmup = clip, warmup
        self.value_weight, self.value_clip, self.discount, self.decay = value_weight, value_clip, discount, decay
        self.coefficient = _coefficient(kl, kl_target, kl_horizon)
        self.steps = 0

    def load_pretrained(self) -> dict[str, str]:
        told = super().load_pretrained()
        self.critic.begin(self.policy)
        return told

    @torch.no_grad()
    def prepare(self, found: Experience) -> dict[str, Any]:
        rows = found.usable
        if not rows:
            self._adapt(torch.zeros(0))
            return {"rows": rows}
        lengths = [len(found.rollout.tokens[row]) for row in rows]
        old = padded(chosen(found.rollout.log_probs, rows), lengths)
        mask = valid(lengths)
        apart = torch.zeros_like(old)
        if self.coefficient.value:
            other = padded(self.referred(found, rows).cpu(), lengths)
            bears = padded(self._bears(found, rows), lengths, False)
            apart = kl.divergence(old, other, "k1").masked_fill(~bears, 0.0)
        rewards = -self.coefficient.value * apart
        ends = torch.tensor(lengths) - 1
        rewards[torch.arange(len(rows)), ends] += found.rewards[rows]
        values = padded(self._values(found, rows).cpu(), lengths)
        gains, returns = advantages.generalised(rewards, values, mask, discount=self.discount, decay=self.decay)
        self._adapt(apart.sum(1))
        told = {"kl": float(apart.sum(1).mean()), "kl_weight": self.coefficient.value,
                "explained": _explained(values, returns, mask)}  # fmt: skip
        return {"rows": rows, "old": old, "gains": whitened(gains, mask), "returns": returns, "values": values,
                "numbers": told}  # fmt: skip

    def learn(self, found: Experience, extra: dict[str, Any]) -> Loss:
        rows, warming = extra["rows"], self.steps < self.warmup
        self.steps += 1
        told = {"kl": 0.0, "kl_weight": self.coefficient.value, "explained": 0.0, "warming": float(warming)}
        if not rows:
            return self.tuned(None, 0, {**told, "policy_loss": 0.0, "value_loss": 0.0, "clipped": 0.0})
        prompts = self.policy.ask(found.batch)
        made = found.rollout.chosen(rows)
        scored, read = rollout.rescore(self.policy, prompts, made, self.sampling, bearing=self.bearing)
        log_probs, mask = scored.rows()
        old, gains, returns, before = (extra[k].to(log_probs.device) for k in ("old", "gains", "returns", "values"))
        values = padded(self.critic(prompts.embeddings, made.tokens, made.owners, read), scored.lengths)
        losses = clipped.policy(log_probs, old, gains, low=self.clip)
        policy_loss = mean_of_all(losses, mask)
        everywhere = valid(scored.lengths, mask.device)
        value_loss = mean_of_all(clipped.value(values, before, returns, clip=self.value_clip), everywhere)
        value = self.value_weight * value_loss + (self.untouched(policy_loss) if warming else policy_loss)
        parts = {**told, **extra["numbers"], "policy_loss": policy_loss, "value_loss": value_loss}
        parts["clipped"] = clipped.clipped_share(log_probs.detach(), old, gains, mask, low=self.clip)
        return self.tuned(value, int(mask.sum()), parts)

    def _adapt(self, apart: Tensor) -> None:
        """Answer the divergences float [B] of responses; all processes count theirs together, those without any too."""
        if not self.coefficient.target:
            return
        found = torch.stack([apart.sum(), torch.tensor(float(len(apart)))])
        if _processes() > 1:
            found = found.to(self.bearing.device)
            torch.distributed.all_reduce(found)
        total, count = found.tolist()
        if count:
            self.coefficient.update(total / count, int(count))

    def untouched(self, policy_loss: Tensor) -> Tensor:
        """0, which leaves the policy without any gradient; several processes wait for one, so there it is 0 too."""
        return policy_loss * 0 if _processes() > 1 else policy_loss.detach() * 0

    def _bears(self, found: Experience, rows: Sequence[int]) -> Tensor:
        """bool [N]: which tokens of the responses `rows` bear a loss."""
        ids = torch.tensor([token for row in rows for token in found.rollout.tokens[row]])
        return self.bearing.cpu()[ids]

    def _values(self, found: Experience, rows: Sequence[int]) -> Tensor:
        """The critic's values float32 [N] of the responses `rows` as they are now."""
        prompts, made = self.policy.ask(found.batch), found.rollout.chosen(rows)
        read = logprobs.read(self.policy.backbone, prompts.embeddings, made.tokens, made.owners)
        return self.critic(prompts.embeddings, made.tokens, made.owners, read)

    def training_state(self) -> dict[str, Any]:
        return {**super().training_state(), "steps": self.steps, "kl": self.coefficient.value}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        super().load_training_state(state)
        if state:
            self.steps, self.coefficient.value = int(state["steps"]), float(state["kl"])


def _coefficient(kl_weight: float, target: float, horizon: int) -> kl.AdaptiveCoefficient:
    return kl.AdaptiveCoefficient(kl_weight, target, horizon)


def _explained(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """The share of the returns' variance that the values foretold."""
    known, told = returns[mask], values[mask]
    spread = known.var(correction=0)
    return float(1 - (known - told).var(correction=0) / spread) if spread > 0 else 0.0


def _processes() -> int:
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if there else 1
