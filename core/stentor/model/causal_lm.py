"""The backbone `causal-lm`: a decoder of transformers, over input embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.model import attention
from stentor.model.cache import CacheShape, KeyValueCache

Architecture = Literal["llama", "mistral", "qwen2", "qwen3", "olmo2"]


class CausalLM(Backbone):
    """A causal language model of transformers, built from its shape.

    Weights start as N(0, 2 / (5 dim)), those that write to the residual stream divided by sqrt(2 layers)
    (Nguyen and Salazar 2019, arXiv 1910.05895; Radford et al. 2019).

    Args:
        vocabulary_size: number of ids.
        architecture: which decoder of transformers.
        dim: width of embeddings and hidden states.
        layers: number of decoder layers.
        heads: number of attention heads.
        kv_heads: number of key/value heads (grouped-query attention); None: as many as `heads`.
        head_dim: width of a head; None: ``dim / heads``.
        ffn_dim: width of the gated feed-forward; None: 8/3 dim, rounded up to a multiple of 64.
        max_positions: longest sequence the model is meant for.
        rope_theta: base of the rotary position frequencies.
        norm_eps: added to the mean square in the RMS norms.
        tie_embeddings: whether the projection to logits shares the embedding's weights.
        dropout: probability of dropping values of the input embeddings and of what each block adds.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        architecture: Architecture = "llama",
        dim: int = 256,
        layers: int = 6,
        heads: int = 4,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        ffn_dim: int | None = None,
        max_positions: int = 2048,
        rope_theta: float = 10000.0,
        norm_eps: float = 1e-6,
        tie_embeddings: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        attention.register()
        self.dim, self.layers, self.dropout = dim, layers, dropout
        config = AutoConfig.for_model(
            architecture,
            vocab_size=vocabulary_size,
            hidden_size=dim,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads or heads,
            head_dim=head_dim or dim // heads,
            intermediate_size=ffn_dim or -(-dim * 8 // (3 * 64)) * 64,
            max_position_embeddings=max_positions,
            rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
            rms_norm_eps=norm_eps,
            initializer_range=(2 / (5 * dim)) ** 0.5,
            tie_word_embeddings=tie_embeddings,
            pad_token_id=None,
            use_cache=False,
        )
        self.decoder = AutoModel.from_config(config, attn_implementation=attention.NAME)  # type: ignore[no-untyped-call]
        self.head = None if tie_embeddings else nn.Linear(dim, vocabulary_size, bias=False)
        self.cache_shape = CacheShape(layers, kv_heads or heads, head_dim or dim // heads)
        self._initialise()

    @classmethod
    def dim_of(cls, **configured: Any) -> int:
        return int(configured.get("dim", 256))

    @property
    def vocabulary_size(self) -> int:
        return self.decoder.embed_tokens.num_embeddings

    def _initialise(self) -> None:
        std = self.decoder.config.initializer_range
        with torch.no_grad():
            for name, weight in self.decoder.named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.div_((2 * self.layers) ** 0.5)
            if self.head is not None:
                self.head.weight.normal_(std=std)

    def embed(self, ids: Tensor) -> Tensor:
        return self.decoder.embed_tokens(ids)

    def project(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.decoder.embed_tokens.weight) if self.head is None else self.head(hidden)

    def forward(
        self,
        inputs: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        packed: Sequence[int] | None = None,
    ) -> Tensor:
        if cache is not None:
            return self._step(inputs, mask, positions, cache)
        if packed is not None:
            positions = torch.cat([torch.arange(n, device=inputs.device) for n in packed])[None]
        inputs = functional.dropout(inputs, self.dropout, self.training)
        return self._run(
            inputs, mask[:, None] if mask is not None and mask.ndim == 3 else None, positions, packed=packed
        )

    def _run(self, inputs: Tensor, mask: Tensor | None, positions: Tensor | None, **options: Any) -> Tensor:
        # right padding needs no mask: what comes before never sees what comes after
        return self.decoder(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, use_cache=False, **options
        ).last_hidden_state

    @torch.no_grad()
    def _step(self, inputs: Tensor, mask: Tensor | None, positions: Tensor | None, cache: KeyValueCache) -> Tensor:
        width = inputs.shape[1]
        counts = mask.sum(1).tolist() if mask is not None and mask.ndim == 2 else [width] * len(inputs)
        cache.reserve(counts, width)
        if mask is None or mask.ndim == 2:
            plain = cache.longest == 0 or (cache.even and width == 1)
            mask = None if plain else cache.visible(width)
        if positions is None:
            positions = cache.lengths[:, None] + torch.arange(width, device=inputs.device)
        hidden = self._run(inputs, mask[:, None] if mask is not None else None, positions, past_key_values=cache)
        cache.advance(counts)
        return hidden

    def new_cache(self, batch: int, capacity: int) -> KeyValueCache:
        weight = self.decoder.embed_tokens.weight
        return KeyValueCache(self.cache_shape, batch, capacity, dtype=weight.dtype, device=weight.device)

    def decoder_layers(self) -> Sequence[nn.Module]:
        return list(self.decoder.layers)

    def resize_vocabulary(self, size: int) -> None:
        """Grow embedding and projection to `size` ids; the old rows stay bit-identical.

        Raises:
            StentorError: when `size` is smaller than the present vocabulary.
        """
        old = self.vocabulary_size
        if size < old:
            raise StentorError(f"the vocabulary has {old} ids and cannot shrink to {size}.", value=size)
        table = self.decoder.embed_tokens
        table.weight, table.num_embeddings = self._grown(table.weight, size), size
        self.decoder.config.vocab_size = size
        if self.head is not None:
            self.head.weight, self.head.out_features = self._grown(self.head.weight, size), size

    def _grown(self, weight: Tensor, size: int) -> nn.Parameter:
        fresh = torch.empty(size - len(weight), self.dim, dtype=weight.dtype, device=weight.device)
        fresh.normal_(std=self.decoder.config.initializer_range)
        return nn.Parameter(torch.cat([weight.detach(), fresh]), requires_grad=weight.requires_grad)
