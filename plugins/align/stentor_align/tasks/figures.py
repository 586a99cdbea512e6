"""Means for the log, each with the number of values behind it, so that means of means weigh right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Figures:
    """Named means of what could be measured.

    Attributes:
        means: name -> mean; 0 where there was nothing.
        counts: name -> values that it is the mean of.
    """

    means: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Tensor | Sequence[float]) -> None:
        """Note the mean of `values` [n]; those that are not finite stand for what could not be measured."""
        found = torch.as_tensor(values, dtype=torch.float64, device="cpu").reshape(-1)
        known = found[found.isfinite()]
        self.means[name] = float(known.mean()) if len(known) else 0.0
        self.counts[name] = len(known)

    def update(self, other: Figures) -> None:
        """Take over those of another."""
        self.means |= other.means
        self.counts |= other.counts
