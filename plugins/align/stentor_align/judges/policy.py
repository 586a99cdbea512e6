"""Judge ``policy``: what another run of this machine answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from stentor.config import ranges
from stentor.errors import StentorError
from stentor_align import runs
from stentor_align.interfaces import Judge


class PolicyJudge(Judge):
    """The greedy answers of a trained text policy; a question is the instruction of its row.

    Args:
        run: folder of the run.
        batch: questions that are answered at a time.
    """

    models = ("run",)

    def __init__(self, *, run: str = "", batch: int = 16) -> None:
        ranges.refuse({"batch": (batch, ranges.least(batch, 1))}, "judge.")
        self.run, self.batch = run, batch
        self._policy: Any = None
        self._device = torch.device("cpu")

    def load_pretrained(self) -> dict[str, str]:
        if not self.run:
            raise StentorError("it must name the run that judges.", path="judge.run")
        policy, told = runs.trained(self.run)
        self._policy = policy.to(self._device).eval().requires_grad_(False)
        return told

    def to(self, device: torch.device) -> None:
        self._device = device
        if self._policy is not None:
            self._policy.to(device)

    def ask(self, questions: Sequence[str]) -> list[str | None]:
        if not questions:
            return []
        if self._policy is None:
            self.load_pretrained()
        found: list[str | None] = []
        for start in range(0, len(questions), self.batch):
            some = questions[start : start + self.batch]
            rows = [{"instruction": question} for question in some]
            batch = {"ids": [""] * len(some), "texts": [""] * len(some), "custom": rows}
            found += self._policy.predict(batch)
        return found
