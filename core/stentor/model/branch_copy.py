"""Keeps the fused copy of serial branches, and the ids that they draft, in step with what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stentor.model.branch_steps import BranchSteps, FusedBranches, FusedSteps, PlainSteps
from stentor.model.branches import Branch
from stentor.model.fused_copy import marks, switches
from stentor.model.tail import DecoderTail


@dataclass(frozen=True, eq=False)
class DraftedBy:
    """What drafts.

    Attributes:
        backbone: whose embeddings and head are used.
        branches: in order.
        counts: int64 [V], how often each id was a training target; None: not counted.
        most: how many of the most frequent ids are drafted.
    """

    backbone: Any
    branches: Sequence[Branch]
    counts: Tensor | None
    most: int

    def ids(self) -> Tensor | None:
        """int64 [N], the ids that are drafted, ascending, none that was never a target; None: the whole vocabulary."""
        known = 0 if self.counts is None else min(self.most, int((self.counts > 0).sum()))
        if self.counts is None or not known:
            return None
        return self.counts.argsort(descending=True, stable=True)[:known].sort().values


class FusedBranchCopy:
    """Keeps the fused copy of branches in step with their weights."""

    def __init__(self) -> None:
        self._fused: FusedBranches | None = None
        self._ids: Tensor | None = None
        self._weights: list[Tensor] = []
        self._modules: list[nn.Module] = []
        self._marks: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return vars(FusedBranchCopy())  # a copy or a pickle of the branches makes its own

    def steps(self, parts: DraftedBy, batch: int, capacity: int) -> BranchSteps:
        """Fused steps where the branches' layers are known and nothing hooks into them, else plain ones."""
        fused = self._current(parts)
        if fused is None:
            return PlainSteps(parts.backbone, parts.branches, self._ids, batch, capacity)
        return FusedSteps(parts.backbone, fused, batch, capacity)

    def _current(self, parts: DraftedBy) -> FusedBranches | None:
        if self._fused is None or self._state(parts.backbone) != self._marks:
            self._make(parts)
        return None if torch.is_autocast_enabled(parts.backbone.projection.device.type) else self._fused

    def _make(self, parts: DraftedBy) -> None:
        tails: list[nn.Module] = [branch.tail for branch in parts.branches]
        known = all(isinstance(tail, DecoderTail) and switches(tail) is not None for tail in tails)
        self._ids = parts.ids()
        self._fused = FusedBranches(parts.backbone, parts.branches, self._ids) if known else None
        if known:
            self._weights = [parameter for branch in parts.branches for parameter in branch.parameters()]
            self._weights += [] if parts.counts is None else [parts.counts]
            self._modules = [module for tail in tails for module in tail.modules()]
            self._marks = self._state(parts.backbone)

    def _state(self, backbone: Any) -> list[Any]:
        """Changes whenever weights are written or hooks come or go."""
        hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in self._modules]
        return [*marks([*self._weights, backbone.projection]), *hooks]
