"""Spans: what a layout turns an example into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stentor.errors import StentorError

SpanKind = Literal["text", "codes", "control", "heard", "seen"]
Attention = Literal["causal", "both-ways"]
_DISCRETE = ("text", "codes", "control")


@dataclass(frozen=True, eq=False)
class Span:
    """A stretch of the model's timeline.

    Attributes:
        kind: ``text``, ``codes`` and ``control`` hold ids; ``heard`` and ``seen`` hold continuous embeddings.
        ids: int64 [n], in the model's id space; None for continuous spans.
        length: n.
        weight: loss weight of predicting this span's tokens; 0 for what is only given.
        role: who speaks, e.g. ``user``; kept for layouts and reports.
        attention: ``both-ways`` lets the positions of this span see each other in both directions.
    """

    kind: SpanKind
    length: int
    ids: Tensor | None = None
    weight: float = 0.0
    role: str = ""
    attention: Attention = "causal"

    def __post_init__(self) -> None:
        if (self.kind in _DISCRETE) != (self.ids is not None):
            raise StentorError(f"a {self.kind} span {'needs' if self.ids is None else 'cannot have'} ids.")
        if self.ids is not None and self.ids.shape != (self.length,):
            raise StentorError(f"a {self.kind} span of length {self.length} has ids of shape {tuple(self.ids.shape)}.")
        if self.weight and self.ids is None:
            raise StentorError(f"a {self.kind} span is continuous and cannot carry a next-token loss.")
        if not self.weight >= 0:
            raise StentorError(f"a span's loss weight must be at least 0, not {self.weight}.")


def text(ids: list[int] | Tensor, *, weight: float = 1.0, role: str = "assistant") -> Span:
    """A span of text ids."""
    tensor = torch.as_tensor(ids, dtype=torch.int64)
    return Span("text", len(tensor), tensor, weight, role)


def codes(ids: list[int] | Tensor, *, weight: float = 1.0, role: str = "assistant") -> Span:
    """A span of discrete audio codes."""
    tensor = torch.as_tensor(ids, dtype=torch.int64)
    return Span("codes", len(tensor), tensor, weight, role)


def control(*ids: int, weight: float = 0.0, role: str = "") -> Span:
    """One or more control tokens."""
    return Span("control", len(ids), torch.tensor(ids, dtype=torch.int64), weight, role)


def heard(length: int, *, role: str = "user", attention: Attention = "causal") -> Span:
    """Room for `length` continuous audio embeddings."""
    return Span("heard", length, None, 0.0, role, attention)
