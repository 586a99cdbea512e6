"""Layers that the networks of the flow-matching decoders share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor_tts.flow.sight import Sight

KeyValue = tuple[Tensor, Tensor]


class ConvBlock(nn.Module):
    """ConvNeXt block (Liu et al. 2022, arXiv 2201.03545) over positions: depthwise convolution and an MLP, residual.

    Nothing is padded: of T positions those come out that see `radius` others on either side, T - 2 * radius.
    """

    def __init__(self, dim: int, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.depthwise = nn.Conv1d(dim, dim, 2 * radius + 1, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [B, T, D], of which `valid` [B, T] are the utterance's; what is not reads as zero."""
        x = x * valid[..., None]
        mixed = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        end = x.shape[1] - self.radius
        made = x[:, self.radius : end] + self.down(functional.gelu(self.up(mixed)))
        return made, valid[:, self.radius : end]


class TimeEmbedding(nn.Module):
    """Times [B] in [0, 1] as vectors [B, D]: sines and cosines of 1 to 1000 cycles, then an MLP."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.waves = dim // 4
        self.mlp = nn.Sequential(nn.Linear(2 * self.waves, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        steps = torch.arange(self.waves, device=t.device, dtype=t.dtype) / self.waves
        angles = t[:, None] * torch.exp(math.log(1000.0) * steps)
        made: Tensor = self.mlp(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return made


class Attention(nn.Module):
    """Self-attention over positions, which also attends to the tokens of the reference.

    The reference's keys lie in the half of each head that does not turn, so that how far along an utterance is does
    not change how it hears its reference.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, dim // heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.reference = nn.Linear(dim, dim // 2 + dim)

    def hear(self, tokens: Tensor) -> KeyValue:
        """Keys and values [B, heads, R, width] of the reference's tokens [B, R, D]; the same at all times."""
        half = self.width // 2
        key, value = self.reference(tokens).split([self.heads * half, self.heads * self.width], dim=-1)
        key = functional.pad(self._split(key, half), (half, 0))
        return key, self._split(value, self.width)

    def forward(self, x: Tensor, reference: KeyValue, sight: Sight) -> Tensor:
        """Positions [B, T, D] to [B, T, D]."""
        query, key, value = (self._split(part, self.width) for part in self.qkv(x).chunk(3, dim=-1))
        query, key = turned(query, sight.turns), turned(key, sight.turns)
        if sight.memory is not None:
            key, value = sight.memory.extend(key, sight.keep), sight.memory.extend(value, sight.keep)
        key, value = torch.cat([reference[0], key], dim=2), torch.cat([reference[1], value], dim=2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=sight.mask)
        made: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return made

    def _split(self, x: Tensor, width: int) -> Tensor:
        return x.unflatten(-1, (self.heads, width)).transpose(1, 2)


def turned(x: Tensor, by: tuple[Tensor, Tensor]) -> Tensor:
    """Heads [B, heads, T, width] with their first half rotated."""
    cosine, sine = by
    left, right, still = x.split([cosine.shape[-1], cosine.shape[-1], x.shape[-1] // 2], dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine, still], dim=-1)


class Block(nn.Module):
    """A transformer block whose norms are set by time and voice (adaLN-zero, Peebles and Xie 2022, arXiv 2212.09748).

    One projection of the condition serves all blocks, each of which adds a table of its own (PixArt, Chen et al. 2023,
    arXiv 2310.00426).
    """

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.table = nn.Parameter(torch.zeros(6, dim))

    def forward(self, x: Tensor, modulation: Tensor, reference: KeyValue, sight: Sight) -> Tensor:
        """Positions [B, T, D] under a modulation [B, 6, D]."""
        shift, scale, gate, shift2, scale2, gate2 = (modulation + self.table)[:, :, None].unbind(1)
        x = x + gate * self.attention(modulated(x, shift, scale), reference, sight)
        return x + gate2 * self.down(functional.gelu(self.up(modulated(x, shift2, scale2)), approximate="tanh"))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without weights of its own, then `scale` and `shift` [B, 1, D]."""
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
