"""How a decoder of transformers runs on embeddings: padded, packed, or on from our cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stentor.model import forks
from stentor.model.cache import CacheShape, KeyValueCache
from stentor.model.forks import Packing
from stentor.model.fused import FusedDecoder


class CachedDecoder:
    """What modules around a decoder of transformers have in common.

    Attributes:
        decoder: the model of transformers, without its head.
        layers: how many layers it has.
        dropout: probability of dropping values of the inputs.
        training: set by torch.
    """

    decoder: Any
    layers: int
    dropout: float
    training: bool

    def forward(
        self,
        inputs: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        packed: Packing | None = None,
    ) -> Tensor:
        """As `stentor.interfaces.backbone.Backbone.forward`."""
        if cache is not None:
            return self._step(inputs, mask, positions, cache)
        if packed is not None:
            if len(inputs) != 1 or forks.length(packed) != inputs.shape[1] or mask is not None:
                raise ValueError(f"packed lengths {list(packed)} do not describe one unmasked row of {inputs.shape[1]}")
            positions = forks.positions(packed, inputs.device)[None]
        inputs = functional.dropout(inputs, self.dropout, self.training)
        mask = mask if mask is not None and mask.ndim == 3 else None
        return self._run(inputs, mask, positions, packed=packed)

    def _run(self, inputs: Tensor, mask: Tensor | None, positions: Tensor | None, **options: Any) -> Tensor:
        hidden: Tensor = self.decoder(
            inputs_embeds=inputs,
            attention_mask=None if mask is None else mask[:, None],
            position_ids=positions,
            use_cache=False,
            **options,
        ).last_hidden_state
        return hidden

    @torch.no_grad()
    def _step(self, inputs: Tensor, mask: Tensor | None, positions: Tensor | None, cache: KeyValueCache) -> Tensor:
        width, padded = inputs.shape[1], mask is not None and mask.ndim == 2
        counts = mask.sum(1).tolist() if padded and mask is not None else [width] * len(inputs)
        cache.reserve(counts, width)
        mask = None if padded else mask
        fused = self._fused_decoder(inputs, thorough=cache.longest == 0)
        if fused is not None:
            hidden = fused.run(inputs, mask, positions, cache)
        else:
            if mask is None and cache.longest > 0 and not (cache.even and width == 1):
                mask = cache.visible(width)
            if positions is None:
                positions = cache.next_positions(width)
            hidden = self._run(inputs, mask, positions, past_key_values=cache)
        cache.advance(counts)
        return hidden

    def _fused_decoder(self, inputs: Tensor, *, thorough: bool) -> FusedDecoder | None:
        """A fused copy to run a cached step on, if there is one."""
        return None

    def new_cache(self, batch: int, capacity: int) -> KeyValueCache:
        """An empty cache for `batch` rows of at most `capacity` positions."""
        config, weight = self.decoder.config, self.decoder.norm.weight
        head_dim = self.decoder.layers[0].self_attn.head_dim
        shape = CacheShape(self.layers, config.num_key_value_heads, head_dim)
        return KeyValueCache(shape, batch, capacity, dtype=weight.dtype, device=weight.device)
