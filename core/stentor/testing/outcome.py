"""How a check ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "skipped", "expected"]


class ContractFailure(AssertionError):
    """A component that does not keep its contract: one line with component, check, what was measured and declared."""


@dataclass(frozen=True)
class Result:
    """One check of one component.

    Attributes:
        kind: of the component.
        name: of the component.
        check: e.g. ``padding_invariance``.
        outcome: ``expected`` means that it failed and was declared to.
        reason: why it failed or was skipped; empty when it passed.
        seconds: how long it took (s).
    """

    kind: str
    name: str
    check: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.outcome:<8} {self.check}" + (f": {self.reason}" if self.reason else "")
