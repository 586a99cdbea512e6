"""How a part's score becomes its share of a reward."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Shape = Literal["linear", "tanh", "log", "threshold"]


def shaped(scores: Tensor, shape: Shape, *, scale: float = 1.0, threshold: float = 0.0) -> Tensor:
    """Shape scores float [B]; NaN stays NaN.

    Args:
        scores: as the part gave them.
        shape: ``linear``: in units of `scale`; ``tanh``: the same, bending towards -1 and 1; ``log``: growing ever more
            slowly in both directions, as sign(x) log(1 + |x|); ``threshold``: 1 from `threshold` on, else 0.
        scale: how much counts as 1.
        threshold: for ``threshold``.
    """
    if shape == "threshold":
        return torch.where(scores.isnan(), scores, (scores >= threshold).to(scores.dtype))
    units = scores / scale
    if shape == "tanh":
        return units.tanh()
    if shape == "log":
        return units.sign() * units.abs().log1p()
    return units
