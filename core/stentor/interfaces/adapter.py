"""Adapters: encoder frames to the backbone's width, usually at a lower rate."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from stentor.interfaces.component import Component


class Adapter(Component, nn.Module):
    """Maps frames [B, T, in_dim] to embeddings [B, ceil(T / stride), out_dim].

    The constructor is wired with ``(in_dim, out_dim)``. Each output depends on its own `stride` frames and, where the
    class says so, their neighbours; never on padding.

    Attributes:
        stride: frames per output embedding.
    """

    stride: int

    @classmethod
    @abstractmethod
    def stride_of(cls, **configured: Any) -> int:
        """Frames per output embedding, for this configuration, without building the adapter."""

    @abstractmethod
    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Adapt.

        Args:
            frames: float [B, T, in_dim], zero-padded.
            lengths: int64 [B], valid frames.

        Returns:
            Embeddings [B, ceil(T / stride), out_dim] and lengths int64 [B], each ``ceil(length / stride)``.
        """
