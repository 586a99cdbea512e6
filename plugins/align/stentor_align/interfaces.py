"""The kind that this plugin declares: judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from stentor.interfaces.component import Component

if TYPE_CHECKING:
    import torch


class Judge(Component, ABC):
    """Answers questions in words: a language model, wherever it runs, or a stand-in for one.

    Attributes:
        models: options that say which model answers; two judges of one name that agree in these are the same.
    """

    contract = "stentor_align.testing:JudgeContract"
    models: ClassVar[tuple[str, ...]] = ()

    def to(self, device: torch.device) -> None:
        """Move what it computes with to a device; what has no model of its own need not."""

    @abstractmethod
    def ask(self, questions: Sequence[str]) -> list[str | None]:
        """One answer to each question, in order; None where there is none: out of time, out of budget, refused.

        It raises nothing for a question that it cannot answer, and a question's answer does not depend on the others.
        """
