"""What every task has in common that learns from its own samples: rollout, reward and reuse."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward
from stentor.interfaces.task import Loss
from stentor.train.assembly import build
from stentor_align import rollout
from stentor_align.logprobs import Read, Scored
from stentor_align.losses import masks
from stentor_align.rewards.safety import PATIENCE
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks import experience, guards
from stentor_align.tasks.drift import Drift
from stentor_align.tasks.experience import Answers, Experience, Unfinished
from stentor_align.tasks.figures import Figures
from stentor_align.tasks.tuning import TuningTask
from stentor_align.workers.coming import Coming
from stentor_align.workers.process import on
from stentor_align.workers.sampling import SamplingProcess
from stentor_align.workers.scoring import ScoringProcesses
from stentor_align.workers.settings import ALONE, WorkerSettings

_VALIDATED = 0
"""Seed of the samples of validation, the same every time."""
_QUIET = 10
"""After so many batches without any reward, one after the other, a run says that it learns nothing."""


class ReinforcedTask(TuningTask):
    """A training step samples responses to the batch's prompts, rewards them, and learns from them.

    Responses may be learnt from several times; batches that come in between are passed over. In validation nothing is
    learnt: the loss is minus the mean reward, of samples that are the same every time. What guards against a reward
    that is gamed (`stentor_align.tasks.guards`) is measured there: the judge's scores, the divergence from what the
    policy is held to or else from what it began as, how much longer and less various its responses are than that one's,
    and what tricks would earn.

    Args:
        policy: what is tuned.
        run: where it came from.
        reward: section of the reward.
        samples: responses to each prompt.
        sampling: how they are sampled.
        iterations: how often each response is learnt from.
        unfinished: what becomes of responses that do not come to their own end.
        left_out: blocks of the vocabulary whose tokens bear no loss.
        judge: section of a reward that is not learnt from, or None.
        timeout: seconds after which the rewards of a batch are given up, and its responses left out; 0: never.
        workers: whether rollout and reward have processes of their own.
        held: what `TuningTask` is told of the reference.
    """

    reinforced = True
    bearing: Tensor

    def __init__(
        self,
        policy: Any,
        *,
        run: str,
        reward: Mapping[str, Any],
        samples: int,
        sampling: SamplingSettings | Mapping[str, Any],
        iterations: int = 1,
        unfinished: Unfinished = "score",
        left_out: Sequence[str] = (),
        judge: Mapping[str, Any] | None = None,
        timeout: float = PATIENCE,
        workers: WorkerSettings | Mapping[str, Any] = ALONE,
        **held: Any,
    ) -> None:
        least = {
            "samples": (samples, ranges.least(samples, 1)),
            "iterations": (iterations, ranges.least(iterations, 1)),
            "timeout": (timeout, ranges.least(timeout, 0)),
        }
        ranges.refuse(least, "task.")
        super().__init__(policy, run=run, **held)
        if judge is not None:
            guards.independent(judge, reward)
        self.workers, self.timeout = WorkerSettings.of(workers), timeout
        self._reward: Reward = self._scorer(reward)
        self._judge: Reward | None = None if judge is None else build("reward", judge, path="task.judge")
        self._drift = Drift()
        self.sampling = SamplingSettings.of(sampling)
        self.samples, self.iterations, self.unfinished = samples, iterations, unfinished
        self.register_buffer("bearing", masks.bearing(policy.vocabulary, left_out), persistent=False)
        self._sampler = SamplingProcess(policy, self.workers) if self.workers.rollout else None
        self._coming: Coming | None = None
        self._silent, self._loaded = 0, False
        self._kept: Experience | None = None
        self._extra: dict[str, Any] = {}
        self._uses = 0

    def _scorer(self, section: Mapping[str, Any]) -> Reward:
        if self.workers.reward:
            return ScoringProcesses(section, self.workers, timeout=self.timeout)
        made: Reward = build("reward", section, path="task.reward")
        return made

    def finished(self) -> None:
        self._coming = None
        if self._sampler is not None:
            self._sampler.close()
        if isinstance(self._reward, ScoringProcesses):
            self._reward.close()

    @property
    def limit(self) -> float:
        """Seconds for rewards that score in this process; processes of their own keep the time themselves."""
        return 0.0 if self.workers.reward else self.timeout

    @property
    def on_policy(self) -> bool:
        """Whether responses are learnt from with the weights that they were sampled with."""
        return self.iterations == 1 and not self.workers.ahead

    def load_pretrained(self) -> dict[str, str]:
        return super().load_pretrained() | (self._load_rewards() if self.fresh else {})

    def _load_rewards(self) -> dict[str, str]:
        """Let reward and judge read their weights; a run that is loaded to answer needs neither."""
        self._loaded = True
        on(self.workers.rollout_device, "task.workers.rollout_device")
        told = {f"reward.{key}": value for key, value in self._reward.load_pretrained().items()}
        judged = {} if self._judge is None else self._judge.load_pretrained()
        return told | {f"judge.{key}": value for key, value in judged.items()}

    @abstractmethod
    def learn(self, found: Experience, extra: dict[str, Any]) -> Loss:
        """The loss of experience, to be descended; `extra` is what `prepare` made of it."""

    def prepare(self, found: Experience) -> dict[str, Any]:
        """What is computed once for all uses of experience: tensors and plain data."""
        return {}

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        if not self._loaded:
            self._load_rewards()
        if not self.training:
            return self._validated(batch)
        self.refresh()
        if self._kept is None:
            self._kept = self._next(batch)
            if self._kept is None:
                return self.tuned(None, 0, {})
            self._extra, self._uses = self.prepare(self._kept), 0
        found, extra = self._kept, self._extra
        loss = self.learn(found, extra)
        self._uses += 1
        if self._uses >= self.iterations:
            self._kept, self._extra = None, {}
        told = found.figures
        return Loss(loss.value, loss.units, {**told.means, **loss.parts}, {**told.counts, **loss.counts})

    def _next(self, batch: Mapping[str, Any]) -> Experience | None:
        """Experience to learn from; None where it samples ahead and nothing was sampled before."""
        if not self.workers.ahead:
            return self._told(self.gather(batch))
        before = self._coming
        answers = None if before is None else before.answers(self.policy)
        self._coming = Coming(dict(batch), self._sampler)
        self._begin(batch)
        return None if before is None or answers is None else self._told(self._rewarded(before.batch, answers))

    def _begin(self, batch: Mapping[str, Any], seed: int | None = None) -> None:
        assert self._sampler is not None
        self._sampler.begin(batch, self.sampling, samples=self.samples, seed=seed)

    def gather(self, batch: Mapping[str, Any], seed: int | None = None) -> Experience:
        """Responses to a batch, and their rewards."""
        if self._sampler is None:
            answers = experience.said(self.policy, batch, self.sampling, samples=self.samples, seed=seed)
        else:
            self._begin(batch, seed)
            answers = self._sampler.finish()
        return self._rewarded(batch, answers)

    def _rewarded(self, batch: Mapping[str, Any], answers: Answers) -> Experience:
        options: dict[str, Any] = {"samples": self.samples, "unfinished": self.unfinished, "timeout": self.limit}
        return experience.rewarded(batch, answers, self._reward, **options)

    def _told(self, found: Experience) -> Experience:
        """The same; says so where rewards keep failing."""
        self._silent = 0 if found.usable else self._silent + 1
        if self._silent and self._silent % _QUIET == 0:
            told = f"none of the last {self._silent} batches got a reward, so nothing was learnt from them"
            warnings.warn(f"{told}; look at task.reward.", stacklevel=2)
        return found

    def _validated(self, batch: Mapping[str, Any]) -> Loss:
        if self._coming is not None:
            self._coming.answers(self.policy)  # the process that samples does one thing at a time
        found = self.gather(batch, seed=_VALIDATED)
        told = found.figures
        told.update(guards.probed(self.policy, found, self._reward, self.sampling, timeout=self.limit))
        told.update(self._strayed(found))
        if self._judge is not None:
            told.update(guards.judged(self.policy, found, self._judge, timeout=self.timeout))
        value = torch.tensor(-told.means["reward"], device=self.bearing.device)
        return Loss(value, len(found.usable), told.means, {**told.counts, "loss": len(found.usable)})

    def _strayed(self, found: Experience) -> Figures:
        with self.origin() as other:
            if other is None:
                return Figures()
            told = guards.divergence(other, found, self.sampling)
            options: dict[str, Any] = {"samples": self.samples, "seed": _VALIDATED}
            told.update(self._drift.figures(other, found.batch, found.rollout, self.sampling, **options))
        return told

    def scored(self, policy: Any, found: Experience, rows: Sequence[int]) -> tuple[Scored, Read]:
        """Log-probabilities of the responses `rows` under `policy`."""
        made: Rollout = found.rollout.chosen(rows)
        return rollout.rescore(policy, policy.ask(found.batch), made, self.sampling, bearing=self.bearing)

    def referred(self, found: Experience, rows: Sequence[int]) -> Tensor:
        """Log-probabilities float32 [N] of the tokens of the responses `rows` under the reference."""
        with self.consulted() as other:
            return self.scored(other, found, rows)[0].log_probs

    def counted(self, found: Experience, rows: Sequence[int]) -> int:
        """How many tokens of the responses `rows` bear a loss."""
        bears = self.bearing.tolist()
        return sum(bears[token] for row in rows for token in found.rollout.tokens[row])

    def longest(self, found: Experience) -> int:
        """Most tokens that a response could have had."""
        return self.sampling.longest or max(map(len, found.rollout.tokens))

    def training_state(self) -> dict[str, Any]:
        coming = {} if self._coming is None else self._coming.state(self.policy)
        return {"uses": self._uses, "experience": experience.to_state(self._kept, self._extra), "coming": coming}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        if state:
            self._uses = int(state["uses"])
            self._kept, self._extra = experience.from_state(state["experience"])
            self._coming = Coming.of(state["coming"]) if state["coming"] else None


def several(samples: int, what: str) -> None:
    """Refuse fewer than two samples where responses are compared with one another."""
    if samples < 2:
        raise StentorError(f"{what} compares responses to a prompt, so it needs 2 samples at least.",
                           path="task.samples", value=samples)  # fmt: skip
