"""The networks of the flow-matching decoders: noisy positions and their conditions to clean positions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor_tts.flow.layers import Attention, Block, KeyValue, modulated
from stentor_tts.flow.sight import See, Sight


class Network(nn.Module):
    """What a flow-matching decoder runs at every step.

    Attributes:
        attentions: in the order in which they run.
        stride: positions that its slowest layer sees as one.
    """

    stride = 1

    @property
    @abstractmethod
    def attentions(self) -> list[Attention]:
        """Every attention layer, in the order in which `forward` takes what they hear of the reference."""

    @abstractmethod
    def forward(self, x: Tensor, codes: Tensor, condition: Tensor, heard: list[KeyValue], see: See) -> Tensor:
        """Clean positions [B, T, C].

        Args:
            x: noisy positions [B, T, C].
            codes: what is said at each position, [B, T, D].
            condition: time and voice, [B, D].
            heard: what each of `attentions` hears of the reference.
            see: what positions may attend to at a stride of 1 or more.
        """


class DiT(Network):
    """Transformer blocks with adaLN-zero (Peebles and Xie 2022, arXiv 2212.09748)."""

    def __init__(self, channels: int, dim: int, layers: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, dim)
        self.modulation = nn.Linear(dim, 8 * dim)
        self.blocks = nn.ModuleList(Block(dim, heads, hidden) for _ in range(layers))
        self.leave = nn.Linear(dim, channels)
        zero(self.modulation, self.leave)

    @property
    def attentions(self) -> list[Attention]:
        return [block.attention for block in self.blocks]  # type: ignore[misc]

    def forward(self, x: Tensor, codes: Tensor, condition: Tensor, heard: list[KeyValue], see: See) -> Tensor:
        modulation = self.modulation(functional.silu(condition)).unflatten(-1, (8, -1))
        x, sight = self.enter(x) + codes, see(1)
        for block, reference in zip(self.blocks, heard, strict=True):
            x = block(x, modulation[:, :6], reference, sight)
        shift, scale = modulation[:, 6:, None].unbind(1)
        made: Tensor = self.leave(modulated(x, shift, scale))
        return made


class UNet(Network):
    """One step down and up again, with skips: causal residual convolutions and transformer blocks.

    The shape of the decoder of Matcha-TTS (Mehta et al. 2023, arXiv 2309.03199), whose convolutions here see the past
    alone and whose norms see one position each, so that it runs chunk by chunk.
    """

    stride = 2

    def __init__(self, channels: int, dim: int, layers: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels + dim, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        self.first = nn.ModuleList([CausalResidual(dim), Block(dim, heads, hidden)])
        self.down, self.up = nn.Linear(2 * dim, dim), nn.Linear(dim, 2 * dim)
        inner = [part for _ in range(layers) for part in (CausalResidual(dim), Block(dim, heads, hidden))]
        self.inner = nn.ModuleList(inner)
        self.join = nn.Linear(2 * dim, dim)
        self.last = nn.ModuleList([CausalResidual(dim), Block(dim, heads, hidden)])
        self.leave = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, channels))
        zero(self.modulation, self.leave[1])

    @property
    def attentions(self) -> list[Attention]:
        return [part.attention for part in (*self.first, *self.inner, *self.last) if isinstance(part, Block)]

    def forward(self, x: Tensor, codes: Tensor, condition: Tensor, heard: list[KeyValue], see: See) -> Tensor:
        modulation = self.modulation(functional.silu(condition)).unflatten(-1, (6, -1))
        left, fine, coarse = iter(heard), see(1), see(2)
        x = _run(self.first, self.enter(torch.cat([x, codes], dim=-1)), modulation, left, fine)
        inner = _run(self.inner, self.down(x.unflatten(1, (-1, 2)).flatten(2)), modulation, left, coarse)
        wide = self.up(inner).unflatten(-1, (2, -1)).flatten(1, 2)
        x = _run(self.last, self.join(torch.cat([x, wide], dim=-1)), modulation, left, fine)
        made: Tensor = self.leave(x)
        return made


class CausalResidual(nn.Module):
    """Two convolutions over a position and the two before it, set by time and voice, residual."""

    reach = 2

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear((self.reach + 1) * dim, dim) for _ in range(2))
        self.table = nn.Parameter(torch.zeros(6, dim))

    def forward(self, x: Tensor, modulation: Tensor, sight: Sight) -> Tensor:
        """Positions [B, T, D] under a modulation [B, 6, D]."""
        shift, scale, gate, shift2, scale2, _ = (modulation + self.table)[:, :, None].unbind(1)
        made = self._convolve(self.first, functional.silu(modulated(x, shift, scale)), sight)
        made = self._convolve(self.second, functional.silu(modulated(made, shift2, scale2)), sight)
        return x + (1 + gate) * made

    def _convolve(self, weights: nn.Module, x: Tensor, sight: Sight) -> Tensor:
        count = x.shape[1]
        seen = x if sight.memory is None else sight.memory.extend(x, self.reach)
        seen = functional.pad(seen, (0, 0, count + self.reach - seen.shape[1], 0))
        windows = [seen[:, back : back + count] for back in range(self.reach + 1)]
        made: Tensor = weights(torch.cat(windows, dim=-1))
        return made


def zero(*layers: nn.Module) -> None:
    """Set weights and biases to zero, so that blocks begin as the identity."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


def _run(parts: nn.ModuleList, x: Tensor, modulation: Tensor, heard: Iterator[KeyValue], sight: Sight) -> Tensor:
    for part in parts:
        x = part(x, modulation, next(heard), sight) if isinstance(part, Block) else part(x, modulation, sight)
    return x
