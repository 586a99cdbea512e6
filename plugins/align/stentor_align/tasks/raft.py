"""Task ``raft``: imitate the best of one's own samples, the plain thing that reinforcement learning has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.interfaces.task import Loss
from stentor_align.losses import advantages, clipped
from stentor_align.losses.clipped import Average
from stentor_align.rewards.safety import PATIENCE
from stentor_align.rollout import PLAIN, SamplingSettings
from stentor_align.tasks.experience import Experience, Unfinished
from stentor_align.tasks.reinforced import ReinforcedTask, several
from stentor_align.workers.settings import ALONE, WorkerSettings


class RAFTTask(ReinforcedTask):
    """Reward-ranked fine-tuning (Dong et al. 2023, arXiv 2304.06767): the best of n samples is the next target.

    Args:
        run: folder of the run whose policy is tuned.
        reward: what is rewarded.
        samples: responses to each prompt.
        sampling: how they are sampled.
        iterations: how often each response is learnt from; batches that come in between are passed over.
        keep: how many of the best responses to a prompt are imitated.
        above: only responses with a greater reward are; null: any.
        average: over tokens and responses.
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
        samples: int = 8,
        sampling: SamplingSettings = PLAIN,
        iterations: int = 1,
        keep: int = 1,
        above: float | None = None,
        average: Average = "token",
        unfinished: Unfinished = "score",
        left_out: Sequence[str] = (),
        judge: Annotated[Mapping[str, Any] | None, ComponentOf("reward")] = None,
        timeout: float = PATIENCE,
        workers: WorkerSettings = ALONE,
    ) -> None:
        several(samples, "RAFT")
        ranges.refuse({"keep": (keep, (1 <= keep <= samples, f"from 1 to samples, {samples}, not {keep}"))}, "task.")
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
        )
        self.keep, self.average = keep, average
        self.above = -torch.inf if above is None else above

    def prepare(self, found: Experience) -> dict[str, Any]:
        best = advantages.best_of_groups(found.rewards, self.samples, keep=self.keep, above=self.above)
        return {"rows": best.tolist()}

    def learn(self, found: Experience, extra: dict[str, Any]) -> Loss:
        rows = extra["rows"]
        told = {"kept": len(rows) / len(found.rewards)}
        if not rows:
            return self.tuned(None, 0, told)
        told["best"] = float(found.rewards[rows].mean())
        scored, _ = self.scored(self.policy, found, rows)
        values, mask = scored.rows()
        loss = clipped.averaged(-values, mask, self.average, longest=self.longest(found))
        return self.tuned(loss, int(mask.sum()), {**told, "nll": loss})
