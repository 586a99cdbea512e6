"""Contracts: of tuning tasks, around the policy of a small run; of judges; of rewards that are learnt."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.testing.contract import ComponentContract
from stentor.testing.reward import RewardContract
from stentor.testing.signals import SENTENCES
from stentor.testing.task import TaskContract
from stentor.train import made, weights
from stentor.train.assembly import assemble

SMALL = {
    "task": {"name": "text-lm", "longest": 6},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
}


@cache
def small_run() -> str:
    """The folder of a run of ``text-lm`` that nobody trained."""
    folder = Path(tempfile.mkdtemp(prefix="stentor-policy-")) / "run"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        task = assemble(SMALL, texts=SENTENCES)
        made.write(folder, {**SMALL, "name": "small"}, task.state(), weights.tensors(task), {"run": "none"})
    return str(folder)


class TuningContract(TaskContract):
    """Checks for tasks that tune the policy of a run."""

    def seeded(self, seed: int, **changes: Any) -> Any:
        return super().seeded(seed, **{"run": self.config.get("run") or small_run(), **changes})

    def batch(self, task: Any, rows: Sequence[int] | None = None) -> dict[str, Any]:
        kept = range(len(self.texts)) if rows is None else rows
        return {
            "ids": [f"row-{row}" for row in kept],
            "texts": [self.texts[row] for row in kept],
            "speakers": ["" for _ in kept],
            "custom": [self.custom(row) for row in kept],
            "seconds": float(len(kept)),
        }

    def custom(self, row: int) -> Mapping[str, Any]:
        """Further fields of a row: what is asked, and two responses to it."""
        return {"instruction": "say", "given": self.texts[row], "chosen": self.texts[row], "rejected": {"text": "no"}}

    def run(self, module: Any) -> Tensor:
        """The loss of a training step, with the same draws every time."""
        training = module.training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            value: Tensor = module.train().training_loss(self.batch(module)).value
        module.train(training)
        return value.reshape(1)

    def test_builds_from_defaults(self) -> None:
        """Nothing to check: it tunes a run, which has to be named."""
        self.skip("it tunes a run, which has to be named")

    def test_roles(self) -> None:
        """It has no roles of its own: its policy is another run's."""
        self.demand(not self.component_class.roles, f"its roles are {list(self.component_class.roles)}.")

    def test_accepts_its_sections(self) -> None:
        """`check` asks for the run, and finds nothing wrong once it is named."""
        self.demand(bool(self.component_class.check({})), "check() does not ask for the run that is tuned.")
        problems = self.component_class.check({}, run=small_run(), **self.config)
        self.demand(not problems, f"check() objects: {(problems or [''])[0]}")

    def test_learns_one_batch(self) -> None:
        """A few optimiser steps on one batch lower its loss by a tenth, where the loss is what is learnt."""
        if self.component_class.reinforced:
            self.skip("its loss is a means to a gradient and need not fall")
        super().test_learns_one_batch()

    @torch.no_grad()
    def test_state_round_trip(self) -> None:
        """A task assembled from its JSON state, with its weights, gives the same loss and outputs."""
        super().test_state_round_trip()

    def test_the_policy_begins_as_it_was(self) -> None:
        """After `load_pretrained` it has the weights of its run, and so has its frozen reference."""
        task, told = self.build(), small_run()
        source = task.load_pretrained()
        self.demand(source.get("name") == told, f"it tells that its weights are from {source.get('name')}.")
        copies = [one for one in (task.policy, getattr(task, "reference", None)) if one is not None]
        found = [weights.combined(weights.digests(one)) for one in copies]
        self.demand(set(found) == {source["sha256"]}, "its policy or reference has other weights than its run.")


class JudgeContract(ComponentContract):
    """Checks for judges; that one gives no answer is no fault."""

    kind = "judge"
    questions: ClassVar[Sequence[str]] = ("Which is better? A: yes B: no", "Is it so?", "")

    def build(self, **changes: Any) -> Any:
        """A judge that asks a run is given a small one."""
        needed = {"run": small_run()} if "run" in inspect.signature(self.component_class).parameters else {}
        return super().build(**{**needed, **changes})

    def test_one_answer_each(self) -> None:
        """As many answers as questions, none for none, each a text or None."""
        judge = self.build()
        self.demand(judge.ask([]) == [], "no questions give answers.")
        answers = judge.ask(self.questions)
        self.demand(
            len(answers) == len(self.questions), f"{len(self.questions)} questions give {len(answers)} answers."
        )
        odd = [answer for answer in answers if not (answer is None or isinstance(answer, str))]
        self.demand(not odd, f"an answer is a {type((odd or [''])[0]).__name__}.")

    def test_company_changes_nothing(self) -> None:
        """A question is answered the same alone as among others."""
        judge = self.build()
        together = judge.ask(self.questions)
        alone = [judge.ask([question])[0] for question in self.questions]
        self.demand(together == alone, f"together they get {together!r:.80}, alone {alone!r:.80}.")


@cache
def small_reward_model() -> str:
    """The folder of a run of ``reward-model`` that nobody trained."""
    folder = Path(tempfile.mkdtemp(prefix="stentor-reward-model-")) / "run"
    config = {"name": "small", "task": {"name": "reward-model", "run": small_run()}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        task = assemble(config, texts=())
        task.load_pretrained()
        made.write(folder, config, task.state(), weights.tensors(task), {"run": small_run()})
    return str(folder)


class LearnedRewardContract(RewardContract):
    """Checks for rewards that a run has learnt: it is given a small one."""

    def build(self, **changes: Any) -> Any:
        return super().build(**{"run": self.config.get("run") or small_reward_model(), **changes})
