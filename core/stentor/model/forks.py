"""Packed rows: sequences that lie end to end, and forks, where several continuations share what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

Packing = Sequence[int | Sequence[int]]
"""The length of each sequence; of a fork, the length of its beginning and those of its continuations."""
Attention = Callable[..., Tensor]


def length(packing: Packing) -> int:
    """How many positions it has in all."""
    return sum(item if isinstance(item, int) else sum(item) for item in packing)


def positions(packing: Packing, device: torch.device) -> Tensor:
    """int64 [N]: the place of every position in its sequence; continuations count on from their beginning."""
    parts: list[Tensor] = []
    for item in packing:
        if isinstance(item, int):
            parts.append(torch.arange(item, device=device))
        else:
            first, *rest = item
            parts.append(torch.arange(first, device=device))
            parts += [torch.arange(first, first + count, device=device) for count in rest]
    return torch.cat(parts)


def attend(query: Tensor, key: Tensor, value: Tensor, packing: Packing, sdpa: Attention) -> Tensor:
    """Causal attention inside each sequence, and of each continuation to its beginning too.

    Args:
        query: float [1, H, N, d].
        key: float [1, H', N, d].
        value: float [1, H', N, d].
        packing: what lies where.
        sdpa: torch's attention with all options but the mask.

    Returns:
        float [1, H, N, d].
    """
    lengths = [item if isinstance(item, int) else sum(item) for item in packing]
    parts = zip(packing, *(torch.split(x, lengths, 2) for x in (query, key, value)), strict=True)
    return torch.cat([_one(q, k, v, item, sdpa) for item, q, k, v in parts], 2)


def _one(query: Tensor, key: Tensor, value: Tensor, item: int | Sequence[int], sdpa: Attention) -> Tensor:
    if isinstance(item, int):
        return sdpa(query, key, value, is_causal=True)
    first, *rest = item
    runs = _runs(rest)
    sizes = [first, *(count * width for count, width in runs)]
    (q, *queries), (k, *keys), (v, *values) = (torch.split(x, sizes, 2) for x in (query, key, value))
    out = [sdpa(q, k, v, is_causal=True)]
    for (count, width), *own in zip(runs, queries, keys, values, strict=True):
        asking, seen, told = (x[0].view(len(x[0]), count, width, -1).transpose(0, 1) for x in own)
        seen, told = (torch.cat([begun.expand(count, -1, -1, -1), x], 2) for begun, x in ((k, seen), (v, told)))
        mixed = sdpa(asking, seen, told, attn_mask=_visible(width, first, query.device))
        out.append(mixed.transpose(0, 1).flatten(1, 2)[None])
    return torch.cat(out, 2)


def _runs(widths: Sequence[int]) -> list[tuple[int, int]]:
    """(how many, width) of neighbours of equal width; they are attended to in one call."""
    found: list[tuple[int, int]] = []
    for width in widths:
        if found and found[-1][1] == width:
            found[-1] = (found[-1][0] + 1, width)
        elif width:
            found.append((1, width))
    return found


@lru_cache(maxsize=32)  # the layers of a pass ask for the same ones; lengths of other passes never end
@torch.inference_mode(False)  # what is kept must serve training too
def _visible(width: int, first: int, device: torch.device) -> Tensor:
    """bool [width, first + width]: a continuation sees its beginning and itself up to each position."""
    return torch.ones(width, first + width, dtype=torch.bool, device=device).tril_(first)
