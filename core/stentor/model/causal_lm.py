"""The backbone `causal-lm`: a decoder of transformers, over input embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.model import attention, lm_config
from stentor.model.cached_decoder import CachedDecoder
from stentor.model.fused import FusedDecoder
from stentor.model.fused_copy import FusedCopy
from stentor.model.lm_config import Architecture
from stentor.model.tail import DecoderTail, add_dropout
from stentor.model.weights import resolve


class CausalLM(CachedDecoder, Backbone):
    """A causal language model of transformers, built from its shape or from pretrained weights.

    With a cache, outside training, and where nothing hooks into the layers, it runs on a fused copy of its weights
    (`stentor.model.fused`), which is refreshed whenever they change. Right padding needs no mask inside: what comes
    before never sees what comes after.

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
        weights: pretrained weights to start from, a folder or a Hub name; their own config.json then says everything
            above but `dropout`. Vocabulary rows beyond theirs are new.
    """

    capabilities = frozenset({"forks"})

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
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.dim_of(
            dim=dim,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            ffn_dim=ffn_dim,
            max_positions=max_positions,
            rope_theta=rope_theta,
            norm_eps=norm_eps,
            dropout=dropout,
            weights=weights,
        )
        config = (
            lm_config.from_weights(weights, vocabulary_size)
            if weights
            else lm_config.from_shape(
                architecture,
                vocab_size=vocabulary_size,
                hidden_size=dim,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=kv_heads or heads,
                head_dim=head_dim or dim // heads,
                intermediate_size=ffn_dim or -(-dim * 8 // (3 * 64)) * 64,
                max_position_embeddings=max_positions,
                rope_theta=rope_theta,
                rms_norm_eps=norm_eps,
                tie_word_embeddings=tie_embeddings,
            )
        )
        self.weights, self.dropout = weights, dropout
        self.dim, self.layers = config.hidden_size, config.num_hidden_layers
        self.decoder = lm_config.build(config)
        self.head = None if config.tie_word_embeddings else nn.Linear(self.dim, vocabulary_size, bias=False)
        self._fused = FusedCopy()
        self._start()

    @classmethod
    def dim_of(cls, *, dim: int = 256, weights: str | None = None, dropout: float = 0.0, **shape: Any) -> int:
        if weights:
            lm_config.check_shape(dropout=dropout)
            return int(lm_config.raw_config(weights)["hidden_size"])
        lm_config.check_shape(dim=dim, dropout=dropout, **shape)
        return dim

    def load_pretrained(self) -> dict[str, str]:
        if self.weights is None:
            return {}
        source = resolve(self.weights)
        lm_config.read(source, self.decoder, None if self.head is None else self.head.weight)
        return source.provenance()

    @property
    def vocabulary_size(self) -> int:
        """The number of ids at present."""
        return len(self.decoder.embed_tokens.weight)

    def _start(self) -> None:
        """What writes to the residual stream starts smaller by sqrt(2 layers) (Radford et al. 2019)."""
        with torch.no_grad():
            for name, weight in self.decoder.named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.div_((2 * self.layers) ** 0.5)
            if self.head is not None:
                self.head.weight.normal_(std=self.decoder.config.initializer_range)
        if self.dropout:
            add_dropout(self.decoder, self.dropout)

    def __setstate__(self, state: dict[str, Any]) -> None:
        attention.register()  # it may be another process than the one that built it
        super().__setstate__(state)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> CausalLM:
        """As every module's; what was copied for decoding is made anew after training."""
        if mode:
            self._fused.forget()
        return super().train(mode)

    def embed(self, ids: Tensor) -> Tensor:
        return self.decoder.embed_tokens(ids)

    def project(self, hidden: Tensor) -> Tensor:
        fused = None if torch.is_grad_enabled() else self._fused.present(self, hidden)
        return functional.linear(hidden, self.projection) if fused is None else fused.project(hidden)

    @property
    def projection(self) -> Tensor:
        """float [vocabulary_size, dim], hidden states to logits."""
        return self.decoder.embed_tokens.weight if self.head is None else self.head.weight

    def _fused_decoder(self, inputs: Tensor, *, thorough: bool) -> FusedDecoder | None:
        return self._fused.current(self, inputs, thorough=thorough)

    def tail(self) -> DecoderTail:
        return DecoderTail(self.decoder, self.dropout)

    def decoder_layers(self) -> Sequence[nn.Module]:
        return list(self.decoder.layers)

    def resize_vocabulary(self, size: int) -> None:
        """Grow embedding and projection to `size` ids; the old rows stay bit-identical.

        Raises:
            StentorError: when `size` is smaller than the present vocabulary.
        """
        if size < self.vocabulary_size:
            raise StentorError(
                f"the vocabulary has {self.vocabulary_size} ids and cannot shrink to {size}.", value=size
            )
        table = self.decoder.embed_tokens
        table.weight, table.num_embeddings = self._grown(table.weight, size), size
        self.decoder.config.vocab_size = size
        if self.head is not None:
            self.head.weight, self.head.out_features = self._grown(self.head.weight, size), size

    def _grown(self, weight: Tensor, size: int) -> nn.Parameter:
        fresh = torch.empty(size - len(weight), self.dim, dtype=weight.dtype, device=weight.device)
        fresh.normal_(std=self.decoder.config.initializer_range)
        return nn.Parameter(torch.cat([weight.detach(), fresh]), requires_grad=weight.requires_grad)
