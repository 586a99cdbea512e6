"""Who samples and who scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stentor.config import ranges


@dataclass(frozen=True)
class WorkerSettings:
    """Where rollout and reward take place; the update takes place where training does, in each of its processes.

    Attributes:
        rollout: sample in a process of its own, which is sent the weights that each update changed.
        rollout_device: where that process computes, e.g. ``cuda:1``.
        ahead: sample for the next step while this one scores and learns: responses are then first learnt from as many
            updates late as each is learnt from. The first step has none yet and learns nothing.
        reward: processes that score, each a share of the responses; 0: the process that learns scores, too.
        reward_device: where these compute, for rewards that have a model of their own.
        threads: of every such process; 0: as many as torch takes.
    """

    rollout: bool = False
    rollout_device: str = "cpu"
    ahead: bool = False
    reward: int = 0
    reward_device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        ranges.check(
            self,
            {
                "ahead": (self.rollout or not self.ahead, "false where rollout is false: one process does one thing"),
                "reward": ranges.least(self.reward, 0),
                "threads": ranges.least(self.threads, 0),
                "rollout_device": _device(self.rollout_device),
                "reward_device": _device(self.reward_device),
            },
        )

    @classmethod
    def of(cls, given: WorkerSettings | Mapping[str, Any]) -> WorkerSettings:
        """What a component's constructor is given, as settings."""
        return given if isinstance(given, WorkerSettings) else cls(**given)


def _device(name: str) -> ranges.Finding:
    """Whether torch knows such a device; whether this machine has it is seen when it is used."""
    try:
        torch.device(name)
    except RuntimeError:
        return False, f"a device such as cpu or cuda:1, not '{name}'"
    return True, ""


ALONE = WorkerSettings()
"""One process does everything."""
