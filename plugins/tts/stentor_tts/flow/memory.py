"""What the layers of a network remember of the chunks before: the explicit state of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Memory:
    """Past inputs of every layer that looks back, in the order in which the layers run.

    One pass of the network over a chunk reads `past` and leaves in `kept` what the pass over the next chunk has to
    read; nothing is changed in place.

    Args:
        past: `kept` of the chunk before; empty at the beginning of a stream.
    """

    def __init__(self, past: Sequence[Tensor] = ()) -> None:
        self.past = past
        self.kept: list[Tensor] = []

    def extend(self, new: Tensor, keep: int) -> Tensor:
        """`new` [..., t, D] with the past in front of it; the last `keep` of all are remembered."""
        if self.past:
            new = torch.cat([self.past[len(self.kept)], new], dim=-2)
        self.kept.append(new[..., max(0, new.shape[-2] - keep) :, :])
        return new
