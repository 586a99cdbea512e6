"""Whisper's decoder, step by step, with keys and values kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class CachedDecoder:
    """Greedy decoding's inner machine over the weights of ``transformers``' WhisperDecoder.

    Args:
        network: the WhisperDecoder.
        project: hidden states [B, D] to logits [B, V].
        encoded: encoder frames [B, T, D].
        capacity: the most tokens a row may have.
    """

    def __init__(self, network: Any, project: Callable[[Tensor], Tensor], encoded: Tensor, capacity: int) -> None:
        self.network, self.project, self.length = network, project, 0
        self._heads = network.config.decoder_attention_heads
        rows, width = encoded.shape[0], encoded.shape[2] // self._heads
        shape = (rows, self._heads, capacity, width)
        self._own = [(encoded.new_zeros(shape), encoded.new_zeros(shape)) for _ in network.layers]
        crossing = [layer.encoder_attn for layer in network.layers]
        # Read at every step, so laid out once as attention reads them.
        self._crossed = [
            (self._split(attention.k_proj(encoded)).contiguous(), self._split(attention.v_proj(encoded)).contiguous())
            for attention in crossing
        ]

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [B, V] after the last of the next tokens int64 [B, t]."""
        start, self.length = self.length, self.length + tokens.shape[1]
        hidden = self.network.embed_tokens(tokens) + self.network.embed_positions.weight[start : self.length]
        for index, layer in enumerate(self.network.layers):
            hidden = hidden + self._attend_own(layer.self_attn, layer.self_attn_layer_norm(hidden), index, start)
            hidden = hidden + self._attend_crossed(layer.encoder_attn, layer.encoder_attn_layer_norm(hidden), index)
            hidden = hidden + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
        return self.project(self.network.layer_norm(hidden[:, -1]))

    def keep(self, rows: Tensor) -> None:
        """Go on with only these rows."""
        for kept in (self._own, self._crossed):
            for index, (keys, values) in enumerate(kept):
                kept[index] = (keys[rows], values[rows])

    def _attend_own(self, attention: Any, hidden: Tensor, index: int, start: int) -> Tensor:
        keys, values = self._own[index]
        keys[:, :, start : self.length] = self._split(attention.k_proj(hidden))
        values[:, :, start : self.length] = self._split(attention.v_proj(hidden))
        mask = None
        if hidden.shape[1] > 1:
            mask = torch.ones(hidden.shape[1], self.length, dtype=torch.bool, device=hidden.device).tril(start)
        mixed = functional.scaled_dot_product_attention(
            self._split(attention.q_proj(hidden)),
            keys[:, :, : self.length],
            values[:, :, : self.length],
            attn_mask=mask,
        )
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))

    def _attend_crossed(self, attention: Any, hidden: Tensor, index: int) -> Tensor:
        keys, values = self._crossed[index]
        mixed = functional.scaled_dot_product_attention(self._split(attention.q_proj(hidden)), keys, values)
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, hidden: Tensor) -> Tensor:
        return hidden.view(*hidden.shape[:2], self._heads, -1).transpose(1, 2)
