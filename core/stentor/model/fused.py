"""Fast cached inference for decoders of the Llama family: few calls per layer, weights laid out for small batches.

At batch 1 the cost of a token is reading the weights and the number of calls, not arithmetic. So queries, keys and
values come out of one product, as do gate and up projections; products have packed weights; rotary tables are computed
once; attention reads the cache in the order in which it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stentor.model.cache import KeyValueCache
from stentor.model.cached_attention import CachedAttention
from stentor.model.lora import effective_bias, effective_weight
from stentor.model.products import Product, product


@dataclass(frozen=True)
class Layer:
    """The weights of one decoder layer.

    Attributes:
        norms: scales of the attention's and of the feed-forward's RMS norm.
        qkv: to queries, keys and values side by side, [N, D] to [N, (H + 2 H') d].
        head_norms: scales of the RMS norms of queries and keys, if the architecture has them.
        out: attention output, [N, H d] to [N, D].
        gate_up: gate and up projections side by side, [N, D] to [N, 2 F].
        down: down projection, [N, F] to [N, D].
    """

    norms: tuple[Tensor, Tensor]
    qkv: Product
    head_norms: tuple[Tensor, Tensor] | None
    out: Product
    gate_up: Product
    down: Product


class FusedDecoder:
    """A frozen copy of a decoder's weights that runs cached steps.

    Gives the same keys, values and hidden states as the decoder of transformers up to rounding, in the same layout, so
    that a cache may pass between the two.

    Args:
        decoder: the model of transformers, without its head.
        projection: float [V, D], the projection to logits.
    """

    def __init__(self, decoder: Any, projection: Tensor) -> None:
        config = decoder.config
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.head_dim: int = decoder.layers[0].self_attn.head_dim
        self.eps: float = config.rms_norm_eps
        self.layers = [fused_layer(layer) for layer in decoder.layers]
        self.norm: Tensor = decoder.norm.weight.detach().clone()
        self.project = product(projection)
        self._rotary = decoder.rotary_emb
        self._cos = self._sin = projection.new_empty(0, self.head_dim)

    def run(self, inputs: Tensor, mask: Tensor | None, positions: Tensor | None, cache: KeyValueCache) -> Tensor:
        """Hidden states [B, T, D] of inputs [B, T, D], which are appended to the cache without being counted.

        Args:
            inputs: the new positions.
            mask: bool [B, T, S], which keys each query sees; None: causal.
            positions: int64 [B, T]; None: on from the cache.
            cache: where keys and values go.
        """
        batch, time, dim = inputs.shape
        turn = self.rotation(time, positions, cache)
        attention = CachedAttention(cache, self.heads, time, mask)
        x = inputs.reshape(batch * time, dim).clone()
        for index, layer in enumerate(self.layers):
            self.step(x, layer, index, attention, turn)
        return torch.rms_norm(x, (dim,), self.norm, self.eps).view(batch, time, dim)

    def step(
        self, x: Tensor, layer: Layer, index: int, attention: CachedAttention, turn: tuple[Tensor, Tensor]
    ) -> None:
        """Add to `x` [B T, D] what `layer` adds, which is the cache's layer `index`; `turn` is from `rotation`."""
        cos, sin = turn
        queries, keys, values = self._projected(x, layer, cos, sin, len(attention.cache.held))
        attention.cache.write(index, keys, values)
        x += layer.out(attention.mix(index, queries, keys, values).reshape(len(x), -1))
        gate, up = layer.gate_up(torch.rms_norm(x, x.shape[1:], layer.norms[1], self.eps)).chunk(2, -1)
        x += layer.down(nn.functional.silu(gate, inplace=True).mul_(up))

    def _projected(
        self, x: Tensor, layer: Layer, cos: Tensor, sin: Tensor, batch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries, rotated keys and values, each [B, heads, T, d]."""
        mixed = layer.qkv(torch.rms_norm(x, x.shape[1:], layer.norms[0], self.eps))
        mixed = mixed.view(batch, -1, self.heads + 2 * self.kv_heads, self.head_dim)
        turning, values = mixed[:, :, : self.heads + self.kv_heads], mixed[:, :, self.heads + self.kv_heads :]
        if layer.head_norms is not None:
            parts = zip((turning[:, :, : self.heads], turning[:, :, self.heads :]), layer.head_norms, strict=True)
            turning = torch.cat([torch.rms_norm(part, (self.head_dim,), scale, self.eps) for part, scale in parts], 2)
        turned = (turning * cos).addcmul_(turning.roll(self.head_dim // 2, -1), sin).transpose(1, 2)
        return turned[:, : self.heads], turned[:, self.heads :], values.transpose(1, 2)

    def rotation(self, time: int, positions: Tensor | None, cache: KeyValueCache) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines [B or 1, T, 1, d] of the new positions."""
        if positions is None and cache.even:
            start, end = cache.longest, cache.longest + time
            cos, sin = self._tables(end)
            return cos[None, start:end, None], sin[None, start:end, None]
        if positions is None:
            positions = cache.next_positions(time)
        cos, sin = self._tables(int(positions.max()) + 1)
        return cos[positions][:, :, None], sin[positions][:, :, None]

    def _tables(self, size: int) -> tuple[Tensor, Tensor]:
        if len(self._cos) < size:
            size = 1 << (size - 1).bit_length()
            positions = torch.arange(size, device=self.norm.device)[None]
            cos, sin = self._rotary(self.norm, position_ids=positions)
            self._cos, self._sin = cos[0], sin[0].clone()
            self._sin[:, : self.head_dim // 2].neg_()  # rolling by half a head needs the first half negated
        return self._cos, self._sin


def fused_layer(layer: Any) -> Layer:
    """The weights of a decoder layer of transformers, laid out for few calls."""
    attention, feed_forward = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    biases = [bias.detach() for bias in (effective_bias(projection) for projection in projections) if bias is not None]
    head_norms = [norm for norm in (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)) if norm]

    def joined(*modules: nn.Module) -> Tensor:
        return torch.cat([weight.detach() for weight in map(effective_weight, modules) if weight is not None])

    def scale(norm: Any) -> Tensor:
        return norm.weight.detach().clone()

    return Layer(
        norms=(scale(layer.input_layernorm), scale(layer.post_attention_layernorm)),
        qkv=product(joined(*projections), torch.cat(biases) if biases else None),
        head_norms=(scale(head_norms[0]), scale(head_norms[1])) if head_norms else None,
        out=product(joined(attention.o_proj)),
        gate_up=product(joined(feed_forward.gate_proj, feed_forward.up_proj)),
        down=product(joined(feed_forward.down_proj)),
    )
