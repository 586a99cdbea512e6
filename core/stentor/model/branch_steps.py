"""Cached steps through serial branches: through any backbone's layers, or fused for those whose layers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from stentor.interfaces.backbone import Backbone
from stentor.model.branches import Branch
from stentor.model.cache import CacheShape, KeyValueCache
from stentor.model.cached_attention import CachedAttention
from stentor.model.fused import FusedDecoder, fused_layer
from stentor.model.products import product


class BranchSteps(Protocol):
    """The caches of all branches, which hold the same positions, and one pass through the branches after another.

    Attributes:
        ids: int64 [N], the ids that have logits; None: all.
    """

    ids: Tensor | None

    @property
    def lengths(self) -> Tensor:
        """int64 [B], positions that every branch holds of each row."""

    def embed(self, ids: Tensor) -> Tensor:
        """What `run` takes of tokens: float [..., dim] of ids [...]."""

    def given(self, inputs: Tensor) -> Tensor:
        """What `run` takes of input embeddings [..., dim]."""

    def begin(self, counts: Sequence[int], width: int) -> None:
        """Begin a pass over `width` positions on from what is held, of which ``counts[b]`` of row b are real."""

    def run(self, index: int, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Hidden states [B, width, dim] of branch `index` of those before it and the shifted tokens."""

    def end(self) -> None:
        """End the pass: the positions are held from now on."""

    def project(self, hidden: Tensor) -> Tensor:
        """Logits [..., N] of `ids`."""

    def truncate(self, lengths: Sequence[int]) -> None:
        """Hold no more than ``lengths[b]`` positions of row b."""

    def select(self, rows: Tensor) -> None:
        """Keep rows `rows` (int64 [B']), in that order."""


class PlainSteps:
    """Each branch runs its own layer on its own cache."""

    def __init__(
        self, backbone: Backbone, branches: Sequence[Branch], ids: Tensor | None, batch: int, capacity: int
    ) -> None:
        self.backbone, self.branches, self.ids = backbone, branches, ids
        self.caches = [branch.tail.new_cache(batch, capacity) for branch in branches]
        self._mask: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        lengths: Tensor = self.caches[0].lengths
        return lengths

    def embed(self, ids: Tensor) -> Tensor:
        return self.backbone.embed(ids)

    def given(self, inputs: Tensor) -> Tensor:
        return inputs

    def begin(self, counts: Sequence[int], width: int) -> None:
        self._mask = None
        if min(counts) < width:
            self._mask = torch.arange(width)[None] < torch.tensor(list(counts))[:, None]

    def run(self, index: int, hidden: Tensor, tokens: Tensor) -> Tensor:
        branch = self.branches[index]
        mask = None if self._mask is None else self._mask.to(hidden.device)
        found: Tensor = branch.tail(branch.mix(hidden, tokens), mask=mask, cache=self.caches[index])
        return found

    def end(self) -> None:
        """Nothing to do: each branch has counted what it holds."""

    def project(self, hidden: Tensor) -> Tensor:
        logits = self.backbone.project(hidden)
        return logits if self.ids is None else logits[..., self.ids]

    def truncate(self, lengths: Sequence[int]) -> None:
        for cache in self.caches:
            cache.truncate(torch.tensor(list(lengths)))

    def select(self, rows: Tensor) -> None:
        for cache in self.caches:
            cache.select(rows)


class FusedBranches:
    """A frozen copy of the branches' weights; norm scales that come before a product are part of the product.

    Args:
        backbone: whose head is used.
        branches: with layers that `FusedDecoder` knows.
        ids: int64 [N], the rows of the head that are used; None: all.
    """

    def __init__(self, backbone: Any, branches: Sequence[Branch], ids: Tensor | None) -> None:
        tails: list[Any] = [branch.tail for branch in branches]
        self.ids = ids
        self.decoder = FusedDecoder(tails[0].decoder, backbone.projection if ids is None else backbone.projection[ids])
        self.layers = [fused_layer(tail.decoder.layers[0]) for tail in tails]
        self.norms = [tail.decoder.norm.weight.detach().clone() for tail in tails]
        self.kv_heads, self.head_dim = self.decoder.kv_heads, self.decoder.head_dim
        self.eps = branches[0].hidden_norm.eps
        self.joins = [product(_scaled(branch)) for branch in branches]


def _scaled(branch: Branch) -> Tensor:
    return branch.join.weight * torch.cat([branch.hidden_norm.weight, branch.token_norm.weight])


class FusedSteps:
    """Few calls per branch: positions, mask and cache are shared by all of them."""

    def __init__(self, backbone: Any, fused: FusedBranches, batch: int, capacity: int) -> None:
        self.fused, self.ids, self.table = fused, fused.ids, backbone.decoder.embed_tokens.weight
        shape = CacheShape(len(fused.layers), fused.kv_heads, fused.head_dim)
        self.cache = KeyValueCache(shape, batch, capacity, dtype=self.table.dtype, device=self.table.device)

    @property
    def lengths(self) -> Tensor:
        return self.cache.lengths

    def embed(self, ids: Tensor) -> Tensor:
        return self.given(functional.embedding(ids, self.table))

    def given(self, inputs: Tensor) -> Tensor:
        return torch.rms_norm(inputs, inputs.shape[-1:], None, self.fused.eps)

    def begin(self, counts: Sequence[int], width: int) -> None:
        self.cache.reserve(counts, width)
        self.turn = self.fused.decoder.rotation(width, None, self.cache)
        self.attention = CachedAttention(self.cache, self.fused.decoder.heads, width, None)
        self.counts = counts

    def run(self, index: int, hidden: Tensor, tokens: Tensor) -> Tensor:
        fused, (batch, width, dim) = self.fused, hidden.shape
        x = fused.joins[index](torch.cat([self.given(hidden), tokens], -1).view(batch * width, 2 * dim))
        fused.decoder.step(x, fused.layers[index], index, self.attention, self.turn)
        return torch.rms_norm(x, (dim,), fused.norms[index], fused.decoder.eps).view(batch, width, dim)

    def end(self) -> None:
        self.cache.advance(self.counts)

    def project(self, hidden: Tensor) -> Tensor:
        return self.fused.decoder.project(hidden)

    def truncate(self, lengths: Sequence[int]) -> None:
        self.cache.held = list(lengths)

    def select(self, rows: Tensor) -> None:
        self.cache.select(rows)
