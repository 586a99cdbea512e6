"""Attention of new queries over a key-value cache."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from stentor.model.cache import KeyValueCache

_GATHER_FROM = 2048
"""Stored keys (over all heads and rows) from which gathering beats batched products; measured."""


class CachedAttention:
    """Attention of T new positions per row, for every layer of one step.

    Three ways to the same result. Into an empty cache the new keys are all there is, and torch's causal kernel does.
    One query per row on a CPU takes weighted sums of stored rows (`embedding_bag`), which run at the speed of memory,
    1.5 to 2 times as fast as batched products of one-row matrices. Everything else is two batched products.

    Args:
        cache: what is attended to; the step's keys must be written before `mix` and not yet counted.
        heads: number of query heads, a multiple of the cache's heads.
        width: T.
        mask: bool [B, T, S], which keys each query sees; None: causal.
    """

    def __init__(self, cache: KeyValueCache, heads: int, width: int, mask: Tensor | None) -> None:
        self.cache, self.heads, self.width = cache, heads, width
        self.end = cache.longest + width
        self.fresh = mask is None and cache.longest == 0
        self.bias: Tensor | None = None
        if mask is None and not self.fresh and cache.even:
            if width > 1:
                blocked = _later(width, cache.keys.dtype, cache.device)
                self.bias = functional.pad(blocked, (self.end - width, 0))[None, None]
        elif mask is not None or not self.fresh:
            mask = cache.visible(width) if mask is None else mask
            blocked = torch.zeros(mask.shape, dtype=cache.keys.dtype, device=cache.device)
            self.bias = blocked.masked_fill_(~mask, -torch.inf)[:, None]
        stored = len(cache.held) * heads * self.end
        plain = cache.device.type == "cpu" and cache.keys.dtype == torch.float32
        self.gathers = width == 1 and not self.fresh and plain and stored >= _GATHER_FROM
        if self.gathers:
            self._index()

    def _index(self) -> None:
        """Which rows of a layer's keys [B H' d, room] and values [B H' room, d] each query head sums."""
        _, batch, kv_heads, head_dim, room = self.cache.keys.shape
        stored = torch.arange(batch * kv_heads, dtype=torch.int32).repeat_interleave(self.heads // kv_heads)[:, None]
        self.key_rows = stored * head_dim + torch.arange(head_dim, dtype=torch.int32)
        self.value_rows = stored * room + torch.arange(self.end, dtype=torch.int32)

    def mix(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention output [B, T, H, d] of queries [B, H, T, d]; `keys` and `values` [B, H', T, d] are the new ones."""
        if self.fresh:
            grouped = self.heads != keys.shape[1]
            out = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=grouped)
            return out.transpose(1, 2)
        return self._gathered(layer, queries) if self.gathers else self._multiplied(layer, queries)

    def _gathered(self, layer: int, queries: Tensor) -> Tensor:
        batch, heads, _, head_dim = queries.shape
        flat = queries.reshape(batch * heads, head_dim) * head_dim**-0.5
        keys, values = self.cache.keys[layer].flatten(0, 2), self.cache.values[layer].flatten(0, 2)
        scores = functional.embedding_bag(self.key_rows, keys, mode="sum", per_sample_weights=flat)[:, : self.end]
        if self.bias is not None:
            scores = (scores.view(batch, heads, -1) + self.bias[:, :, 0]).view(batch * heads, -1)
        weights = scores.softmax(-1)
        mixed = functional.embedding_bag(self.value_rows, values, mode="sum", per_sample_weights=weights)
        return mixed.view(batch, 1, heads, head_dim)

    def _multiplied(self, layer: int, queries: Tensor) -> Tensor:
        batch, heads, width, head_dim = queries.shape
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        groups = heads // keys.shape[1]
        if batch == 1 and groups == 1 and self.bias is not None:
            shown = keys[0, ..., : self.end]
            scores = torch.baddbmm(self.bias[0], queries[0], shown, alpha=head_dim**-0.5)
            return (scores.softmax(-1) @ values[0, :, : self.end]).transpose(0, 1)[None]
        grouped = (queries * head_dim**-0.5).reshape(batch, -1, groups * width, head_dim)
        scores = grouped @ keys[..., : self.end]
        if self.bias is not None:
            scores = (scores.view(batch, heads, width, -1) + self.bias).view_as(scores)
        mixed = scores.softmax(-1) @ values[:, :, : self.end]
        return mixed.view(batch, heads, width, head_dim).transpose(1, 2)


@lru_cache(maxsize=32)  # the layers of a pass ask for the same one; lengths of other passes never end
@torch.inference_mode(False)  # what is kept must serve training too
def _later(width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """float [width, width]: -inf where a key comes after the query."""
    return torch.full((width, width), -torch.inf, dtype=dtype, device=device).triu_(1)
