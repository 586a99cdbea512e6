"""Adapters that any task may use: from the encoder's frames to the backbone's width at a lower rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.config import ranges
from stentor.interfaces.adapter import Adapter


def stack_frames(frames: Tensor, lengths: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Lay `stride` neighbours side by side, filling the last group with zeros.

    Args:
        frames: float [B, T, D]; what lies beyond a row's length is ignored.
        lengths: int64 [B].
        stride: frames per group.

    Returns:
        Groups [B, ceil(T / stride), stride * D] and lengths [B].
    """
    batch, time, dim = frames.shape
    valid = torch.arange(time, device=frames.device)[None] < lengths[:, None]
    frames = functional.pad(frames * valid[..., None], (0, 0, 0, -time % stride))
    return frames.reshape(batch, -1, stride * dim), (lengths + stride - 1) // stride


class Linear(Adapter):
    """One linear layer over `stride` stacked frames: the one-layer alignment of arXiv 2406.13357."""

    def __init__(self, in_dim: int, out_dim: int, *, stride: int = 4) -> None:
        super().__init__()
        self.stride = _checked(stride=stride)
        self.project = nn.Linear(in_dim * stride, out_dim)

    @classmethod
    def stride_of(cls, *, stride: int = 4, **rest: Any) -> int:
        return _checked(stride=stride, **rest)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        groups, lengths = stack_frames(frames, lengths, self.stride)
        return self.project(groups), lengths


class Stack(Adapter):
    """Linear, GELU, linear over `stride` stacked frames, as in SLAM-ASR (arXiv 2402.08846), with layer norms."""

    def __init__(self, in_dim: int, out_dim: int, *, stride: int = 4, hidden: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.stride = _checked(stride=stride, hidden=hidden, dropout=dropout)
        self.layers = nn.Sequential(
            nn.LayerNorm(in_dim * stride),
            nn.Linear(in_dim * stride, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_dim),
            nn.LayerNorm(out_dim),
        )

    @classmethod
    def stride_of(cls, *, stride: int = 4, **rest: Any) -> int:
        return _checked(stride=stride, **rest)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        groups, lengths = stack_frames(frames, lengths, self.stride)
        return self.layers(groups), lengths


class Convolution(Adapter):
    """Two convolutions over time with GELU, the second with the stride; each output sees a few frames either side."""

    def __init__(self, in_dim: int, out_dim: int, *, stride: int = 4, hidden: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.stride = _checked(stride=stride, hidden=hidden, dropout=dropout)
        self.smooth = nn.Conv1d(in_dim, hidden, 3, padding=1)
        self.reduce = nn.Conv1d(hidden, out_dim, stride + 2, stride, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(out_dim)

    @classmethod
    def stride_of(cls, *, stride: int = 4, **rest: Any) -> int:
        return _checked(stride=stride, **rest)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        out_lengths = (lengths + self.stride - 1) // self.stride
        valid = (torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None])[:, None]
        hidden = functional.gelu(self.smooth(frames.mT * valid)) * valid
        hidden = functional.pad(self.dropout(hidden), (0, -frames.shape[1] % self.stride))
        return self.norm(self.reduce(hidden).mT), out_lengths


def _checked(*, stride: int, hidden: int = 1, dropout: float = 0.0) -> int:
    """The stride, if the configuration makes sense."""
    wanted = {
        "stride": (stride, ranges.least(stride, 1)),
        "hidden": (hidden, ranges.least(hidden, 1)),
        "dropout": (dropout, ranges.probability(dropout)),
    }
    ranges.refuse(wanted, "adapter.")
    return stride
