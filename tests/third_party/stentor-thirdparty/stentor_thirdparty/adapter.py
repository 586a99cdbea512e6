"""Adapter `gated`: stacked frames through a gated linear unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.interfaces.adapter import Adapter


class Gated(Adapter):
    """`stride` stacked frames through a gated linear unit (Dauphin et al. 2017, arXiv 1612.08083).

    Args:
        in_dim: width of the frames.
        out_dim: width of the embeddings.
        stride: frames per embedding.
    """

    def __init__(self, in_dim: int, out_dim: int, *, stride: int = 4) -> None:
        super().__init__()
        self.stride = stride
        self.norm, self.gate = nn.LayerNorm(in_dim * stride), nn.Linear(in_dim * stride, 2 * out_dim)

    @classmethod
    def stride_of(cls, *, stride: int = 4, **_: Any) -> int:
        return stride

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        batch, time, dim = frames.shape
        valid = torch.arange(time, device=frames.device)[None] < lengths[:, None]
        padded = functional.pad(frames * valid[..., None], (0, 0, 0, -time % self.stride))
        groups = padded.reshape(batch, -1, self.stride * dim)
        return functional.glu(self.gate(self.norm(groups))), (lengths + self.stride - 1) // self.stride
