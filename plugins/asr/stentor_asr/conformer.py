"""The layers of the conformer (Gulati et al. 2020, arXiv 2005.08100), all of them blind to padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Subsampling(nn.Module):
    """Convolutions over time that divide the frame rate by the product of `strides`.

    A stride s convolution sees 2 s - 1 frames and gives ``ceil(T / s)``; padding is zeroed before each.
    """

    def __init__(self, in_dim: int, dim: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides, self.dim = strides, dim
        widths = [in_dim] + [dim] * len(strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], 2 * stride - 1, stride, padding=stride - 1)
            for i, stride in enumerate(strides)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, in_dim] and lengths [B] to frames [B, ceil(T / stride), dim] and their lengths."""
        hidden = frames.transpose(1, 2)
        for stride, convolution in zip(self.strides, self.convolutions, strict=True):
            hidden = functional.silu(convolution(hidden * within(lengths, hidden.shape[2])[:, None]))
            lengths = (lengths + stride - 1) // stride
        return hidden.transpose(1, 2), lengths

    def beginning(self, like: Tensor) -> tuple[Tensor, ...]:
        """What each convolution holds before the first of `like` [B, ...]: its padding."""
        pairs = zip(self.strides, self._parts, strict=True)
        return tuple(like.new_zeros(len(like), part.in_channels, stride - 1) for stride, part in pairs)

    def step(self, frames: Tensor, held: tuple[Tensor, ...], last: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next frames [B, t, in_dim] and what was held of those before to new frames and what is held now."""
        hidden, kept = frames.transpose(1, 2), []
        for stride, part, before in zip(self.strides, self._parts, held, strict=True):
            hidden = functional.pad(torch.cat([before, hidden], 2), (0, stride - 1 if last else 0))
            count = max(0, (hidden.shape[2] - 2 * stride + 1) // stride + 1)
            kept.append(hidden[:, :, count * stride :])
            hidden = _strided(part, hidden) if count else hidden.new_zeros(len(hidden), self.dim, 0)
        return hidden.transpose(1, 2), tuple(kept)

    @property
    def _parts(self) -> list[nn.Conv1d]:
        return [part for part in self.convolutions if isinstance(part, nn.Conv1d)]


class FeedForward(nn.Sequential):
    """Norm, widen, SiLU, narrow."""

    def __init__(self, dim: int, expansion: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, expansion * dim), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(expansion * dim, dim), nn.Dropout(dropout),
        )  # fmt: skip


class Attention(nn.Module):
    """Multi-head self-attention over valid frames, with rotary positions (Su et al. 2021, arXiv 2104.09864)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, valid: Tensor, angles: Tensor) -> Tensor:
        """Hidden [B, T, dim], valid bool [B, T], angles [T, dim / heads / 2] to [B, T, dim]."""
        heads = self.qkv(self.norm(hidden)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = rotate(heads[0], angles), rotate(heads[1], angles), heads[2]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))


class Convolution(nn.Module):
    """Gated pointwise, depthwise and pointwise convolution over time.

    The paper's batch norm is a layer norm here: it treats a frame alike in training and use and in any batch.
    """

    def __init__(self, dim: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.middle_norm = nn.LayerNorm(dim)
        self.narrow = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, valid: Tensor) -> Tensor:
        gated = functional.glu(self.widen(self.norm(hidden))) * valid[..., None]
        mixed = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.narrow(functional.silu(self.middle_norm(mixed))))


class Block(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward, norm."""

    def __init__(self, dim: int, heads: int, kernel: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.first = FeedForward(dim, expansion, dropout)
        self.attention = Attention(dim, heads, dropout)
        self.convolution = Convolution(dim, kernel, dropout)
        self.second = FeedForward(dim, expansion, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, valid: Tensor, angles: Tensor) -> Tensor:
        hidden = hidden + 0.5 * self.first(hidden)
        hidden = hidden + self.attention(hidden, valid, angles)
        hidden = hidden + self.convolution(hidden, valid)
        hidden = hidden + 0.5 * self.second(hidden)
        return self.norm(hidden)  # type: ignore[no-any-return]


def _strided(part: nn.Conv1d, hidden: Tensor) -> Tensor:
    """SiLU of the convolution of hidden [B, C, t] without its padding."""
    return functional.silu(functional.conv1d(hidden, part.weight, part.bias, part.stride))


def within(lengths: Tensor, size: int) -> Tensor:
    """bool [B, size]: which places are before `lengths` [B]."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def rotary_angles(positions: int, dim: int, like: Tensor) -> Tensor:
    """Angles [positions, dim / 2] (radians) by which pairs of features turn, in the type of `like`."""
    speeds = 10_000.0 ** (-torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim)
    places = torch.arange(positions, device=like.device, dtype=torch.float32)
    return torch.outer(places, speeds).to(like.dtype)


def rotate(vectors: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs of halves of `vectors` [..., T, D] by `angles` [T, D / 2]."""
    left, right = vectors.chunk(2, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)
