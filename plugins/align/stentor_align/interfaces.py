"""The kind that this plugin declares: judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from stentor.interfaces.component import Component


class Judge(Component, ABC):
    """Answers questions in words: a language model, wherever it runs, or a stand-in for one."""

    contract = "stentor_align.testing:JudgeContract"

    @abstractmethod
    def ask(self, questions: Sequence[str]) -> list[str | None]:
        """One answer to each question, in order; None where there is none: out of time, out of budget, refused.

        It raises nothing for a question that it cannot answer, and a question's answer does not depend on the others.
        """
