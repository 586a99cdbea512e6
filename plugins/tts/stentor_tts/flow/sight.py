"""What the positions of a pass may attend to: their own chunk, some chunks before it, and the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from stentor_tts.flow.memory import Memory


@dataclass
class Sight:
    """What the positions of one pass may attend to, and where they are.

    Attributes:
        turns: cosine and sine [T, head width / 4] of each position's rotations.
        mask: added to the attention's logits, [B or 1, 1, T or 1, R + S]: the R tokens of the reference, the S
            positions, past ones first; None where all see all.
        keep: how many positions the next chunk may look back to.
        memory: of the chunks before; None where the pass sees the whole utterance.
    """

    turns: tuple[Tensor, Tensor]
    mask: Tensor | None
    keep: int
    memory: Memory | None


See = Callable[[int], Sight]
"""The sight at a stride: 1, or how many positions a layer sees as one."""


def over_whole(valid: Tensor, heard: Tensor, *, chunk: int, left: int, width: int, like: Tensor) -> See:
    """The sight of a pass over whole utterances: what chunk after chunk would see.

    Args:
        valid: which positions exist, bool [B, T].
        heard: which tokens of the reference exist, bool [B, R].
        chunk: positions in a chunk; 0: the whole utterance is one.
        left: chunks that a chunk looks back on.
        width: of the heads.
        like: a tensor of the model's type.
    """

    @cache
    def see(stride: int) -> Sight:
        seen = valid[:, ::stride]
        count = seen.shape[1]
        place = torch.arange(count, device=seen.device) * stride
        number = place // chunk if chunk else torch.zeros_like(place)
        apart = number[:, None] - number
        own = (apart >= 0) & (apart <= left) & seen[:, None]
        allowed = torch.cat([heard[:, None].expand(-1, count, -1), own], dim=-1)
        return Sight(turns(0, count, width, like), added(allowed[:, None], like), 0, None)

    return see


def over_chunk(
    valid: Tensor, heard: Tensor, begin: int, *, reach: int, width: int, memory: Memory, like: Tensor
) -> See:
    """The sight of a pass over one chunk: all of it, and all that is remembered.

    Args:
        valid: which positions of the chunk exist, bool [B, T].
        heard: which tokens of the reference exist, bool [B, R].
        begin: position at which the chunk begins.
        reach: positions that a chunk looks back on.
        width: of the heads.
        memory: of the chunks before.
        like: a tensor of the model's type.
    """

    @cache
    def see(stride: int) -> Sight:
        seen = valid[:, ::stride]
        past = seen.new_ones(len(seen), min(begin, reach) // stride)
        allowed = torch.cat([heard, past, seen], dim=1)
        mask = None if bool(allowed.all()) else added(allowed[:, None, None], like)
        return Sight(turns(begin // stride, seen.shape[1], width, like), mask, reach // stride, memory)

    return see


def turns(first: int, count: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations of the positions from `first` on (RoPE, Su et al. 2021, arXiv 2104.09864), for heads `width` wide.

    Half of a head turns; the other half, which meets the reference, knows no order.
    """
    pairs = width // 4
    rates = 10000.0 ** (-torch.arange(pairs, device=like.device, dtype=torch.float32) / pairs)
    angles = torch.arange(first, first + count, device=like.device, dtype=torch.float32)[:, None] * rates
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def added(allowed: Tensor, like: Tensor) -> Tensor:
    """A mask to add to logits: 0 where `allowed`, minus infinity elsewhere."""
    return torch.zeros(allowed.shape, dtype=like.dtype, device=like.device).masked_fill(~allowed, -torch.inf)
