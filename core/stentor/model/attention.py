"""The attention function that backbones give to transformers: causal, masked, cached or packed, all through SDPA."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from stentor.model import forks
from stentor.model.forks import Packing

NAME = "stentor"


def register() -> None:
    """Make the function known to transformers under `NAME` (once; later calls change nothing).

    No mask function goes with it: transformers then builds no masks of its own and passes four-dimensional ones on.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(  # noqa: PLR0917 - the signature by which transformers calls it
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packed: Packing | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of queries [B, H, T, d] over keys and values [B, H', S, d].

    Args:
        module: the attention layer of transformers.
        query: float [B, H, T, d].
        key: float [B, H', S, d].
        value: float [B, H', S, d].
        attention_mask: bool [B or 1, 1, T, S], True where a query sees a key; None: causal, or all keys for one query.
        dropout: probability of dropping an attention weight.
        scaling: factor on the scores.
        packed: what lies end to end in one row (`stentor.model.forks`); sequences see nothing of each other.

    Returns:
        float [B, T, H, d], and None in place of the attention weights.
    """
    sdpa = partial(
        scaled_dot_product_attention, dropout_p=dropout, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )
    if packed is None:
        causal = attention_mask is None and query.shape[2] > 1
        out = sdpa(query, key, value, attn_mask=attention_mask, is_causal=causal)
    else:
        out = forks.attend(query, key, value, packed, sdpa)
    return out.transpose(1, 2).contiguous(), None
