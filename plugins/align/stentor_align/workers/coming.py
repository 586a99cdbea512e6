"""Answers that are on their way while something else is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from stentor.interfaces.policy import Policy
from stentor_align.rollout import Rollout
from stentor_align.tasks import experience
from stentor_align.tasks.experience import Answers
from stentor_align.workers.sampling import SamplingProcess


class Coming:
    """Answers that a process samples, or that are here and wait for their turn.

    Args:
        batch: that they answer.
        process: samples them; None: they are here.
        made: what came of it.
    """

    def __init__(self, batch: dict[str, Any], process: SamplingProcess | None, *, made: Rollout | None = None) -> None:
        self.batch, self._process, self._made = batch, process, made
        self._answers: Answers | None = None

    def answers(self, policy: Policy) -> Answers:
        """Wait for them.

        Args:
            policy: says what tokens mean that a checkpoint kept.
        """
        if self._answers is None and self._made is not None:
            with torch.no_grad():
                self._answers = experience.meant(policy, self.batch, policy.ask(self.batch), self._made)
        elif self._answers is None:
            assert self._process is not None
            self._answers = self._process.finish()
        return self._answers

    def state(self, policy: Policy) -> dict[str, Any]:
        """What a checkpoint keeps: plain data and tensors."""
        return {"batch": self.batch, "rollout": self.answers(policy).rollout.state()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Coming:
        """What `state` gave."""
        return cls(dict(state["batch"]), None, made=Rollout(**state["rollout"]))
