"""The conformer's blocks chunk by chunk: attention to the own chunk and some before it, convolutions to the past alone.

A whole utterance is the same computation with nothing before it (chunk-wise attention as in Zhang et al. 2020, arXiv
2012.05481): time is folded into windows of `Span.left` chunks and the own one, so that cost and memory grow with the
length and not with its square, in training as in use.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stentor_asr.conformer import Attention, Block, Convolution, rotary_angles, rotate


@dataclass(frozen=True)
class Span:
    """What a frame may see: its own chunk of `chunk` frames, and `left` chunks before."""

    chunk: int
    left: int

    @property
    def past(self) -> int:
        """Frames before the chunk."""
        return self.chunk * self.left


@dataclass(frozen=True)
class Past:
    """What a block keeps of the frames before.

    Attributes:
        keys: [B, past, heads, D], not rotated.
        values: [B, past, heads, D].
        valid: bool [B, past], which of them there are.
        gated: [B, kernel - 1, dim], input of the convolution over time.
    """

    keys: Tensor
    values: Tensor
    valid: Tensor
    gated: Tensor


def beginning(block: Block, span: Span, batch: int, like: Tensor) -> Past:
    """Nothing heard yet, in the type and on the device of `like`."""
    dim, heads = block.attention.out.in_features, block.attention.heads
    keys = like.new_zeros(batch, span.past, heads, dim // heads)
    valid = torch.zeros(batch, span.past, dtype=torch.bool, device=like.device)
    return Past(keys, keys, valid, like.new_zeros(batch, block.convolution.depthwise.kernel_size[0] - 1, dim))


def advance(block: Block, span: Span, hidden: Tensor, valid: Tensor, past: Past) -> tuple[Tensor, Past]:
    """Whole chunks [B, T, dim] through `block`, T a multiple of the chunk; `valid` bool [B, T] tells padding."""
    hidden = hidden + 0.5 * block.first(hidden)
    mixed, keys, values, seen = _attend(block.attention, span, hidden, valid, past)
    hidden = hidden + mixed
    mixed, gated = _convolve(block.convolution, hidden, valid, past.gated)
    hidden = hidden + mixed
    hidden = hidden + 0.5 * block.second(hidden)
    return block.norm(hidden), Past(keys, values, seen, gated)


def _attend(
    attention: Attention, span: Span, hidden: Tensor, valid: Tensor, past: Past
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mix [B, T, dim], and the keys, values and validity of the last `span.past` frames."""
    batch, length, _ = hidden.shape
    query, key, value = attention.qkv(attention.norm(hidden)).unflatten(-1, (3, attention.heads, -1)).unbind(2)
    keys, values = torch.cat([past.keys, key], 1), torch.cat([past.values, value], 1)
    seen = torch.cat([past.valid, valid], 1)
    width = span.past + span.chunk
    angles = rotary_angles(width, query.shape[-1], query)
    queries = query.unflatten(1, (-1, span.chunk)).flatten(0, 1).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(
        rotate(queries, angles[span.past :]),
        rotate(_windows(keys, width, span.chunk), angles),
        _windows(values, width, span.chunk),
        attn_mask=_mask(seen, width, span.chunk),
    )
    mixed = mixed.transpose(1, 2).reshape(batch, length, -1)
    return attention.dropout(attention.out(mixed)), keys[:, length:], values[:, length:], seen[:, length:]


def _windows(frames: Tensor, width: int, step: int) -> Tensor:
    """Frames [B, T, heads, D] as overlapping windows [B * count, heads, width, D]."""
    return frames.unfold(1, width, step).flatten(0, 1).transpose(2, 3)


def _mask(seen: Tensor, width: int, step: int) -> Tensor:
    """bool [B * count, 1, 1, width]: what may be attended to; all of a window that is nothing but padding."""
    windows = seen.unfold(1, width, step).flatten(0, 1)
    return (windows | ~windows.any(-1, keepdim=True))[:, None, None]


def _convolve(convolution: Convolution, hidden: Tensor, valid: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The mix [B, T, dim], and what the next frames need of the gated input."""
    gated = functional.glu(convolution.widen(convolution.norm(hidden))) * valid[..., None]
    gated = torch.cat([before, gated], 1)
    depthwise = convolution.depthwise
    mixed = functional.conv1d(gated.transpose(1, 2), depthwise.weight, depthwise.bias, groups=depthwise.groups)
    mixed = functional.silu(convolution.middle_norm(mixed.transpose(1, 2)))
    return convolution.dropout(convolution.narrow(mixed)), gated[:, hidden.shape[1] :]
