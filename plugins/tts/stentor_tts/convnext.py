"""ConvNeXt blocks over frames that stream: the backbone of Vocos and of the codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError


class FrameConvolution(nn.Module):
    """Convolution over frames [B, T, C], as long as its input, that may see `ahead` frames of what comes.

    The state of a stream is the input that later outputs still need, [B, t, C]; beyond both ends there are zeros.

    Args:
        channels: of the input.
        out: of the output; equal to `channels` where `depthwise`.
        kernel: frames that an output sees.
        ahead: how many of these lie ahead of it.
        depthwise: whether every channel has a filter of its own.
    """

    def __init__(self, channels: int, out: int, *, kernel: int = 7, ahead: int = 0, depthwise: bool = False) -> None:
        super().__init__()
        self.kernel, self.ahead, self.behind = kernel, ahead, kernel - 1 - ahead
        self.convolution = nn.Conv2d(channels, out, (1, kernel), groups=channels if depthwise else 1)

    def initial_state(self, batch: int) -> Tensor:
        weight = self.convolution.weight
        channels = self.convolution.in_channels
        return torch.zeros(batch, self.behind, channels, device=weight.device, dtype=weight.dtype)

    def step(self, frames: Tensor, state: Tensor, *, last: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs [B, t, out] that the next frames settle, the frames [B, t, C] under them, and the next state."""
        known = torch.cat([state, frames], 1)
        if last:
            known = functional.pad(known, (0, 0, 0, self.ahead))
        count = known.shape[1] - self.kernel + 1
        if count <= 0:
            empty = known[:, :0]
            return empty.new_zeros(len(known), 0, self.convolution.out_channels), empty, known
        # as a picture of height 1: the depthwise product of PyTorch is many times faster on these
        made = self.convolution(known.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return made, known[:, self.behind : self.behind + count], known[:, count:]


class ConvNeXtBlock(nn.Module):
    """ConvNeXt block (Liu et al., arXiv 2201.03545) in one dimension, as Vocos has it, with a scale of its own."""

    def __init__(self, dim: int, *, expansion: int, kernel: int, ahead: int, scale: float) -> None:
        super().__init__()
        self.mix = FrameConvolution(dim, dim, kernel=kernel, ahead=ahead, depthwise=True)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.widen, self.narrow = nn.Linear(dim, expansion * dim), nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def step(self, frames: Tensor, state: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
        mixed, under, state = self.mix.step(frames, state, last=last)
        made = self.narrow(functional.gelu(self.widen(self.norm(mixed))))
        return torch.addcmul(under, self.scale, made), state


@dataclass(frozen=True)
class BackboneState:
    """What every convolution of a stream's backbone still needs, first to last."""

    buffers: tuple[Tensor, ...]


class ConvNeXt(nn.Module):
    """A stack of ConvNeXt blocks (Siuzdak, arXiv 2306.00814): frames [B, T, C] to frames [B, T, dim].

    Args:
        channels: of the input.
        dim: width.
        layers: blocks.
        expansion: width inside of a block over `dim`.
        kernel: frames that one convolution sees.
        lookahead: frames ahead that an output sees, over all layers; the first layers take as much as is symmetric.
    """

    def __init__(
        self, channels: int, *, dim: int, layers: int, expansion: int = 3, kernel: int = 7, lookahead: int = 0
    ) -> None:
        super().__init__()
        ahead = _shares(lookahead, layers + 1, kernel // 2)
        self.embed = FrameConvolution(channels, dim, kernel=kernel, ahead=ahead[0])
        self.first, self.final = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(dim, expansion=expansion, kernel=kernel, ahead=one, scale=1 / layers) for one in ahead[1:]
        )
        self.lookahead = lookahead
        self.apply(_initialise)

    def initial_state(self, batch: int) -> BackboneState:
        mixers = [block.mix for block in self._typed()]
        return BackboneState(tuple(one.initial_state(batch) for one in (self.embed, *mixers)))

    def step(
        self, frames: Tensor, state: BackboneState, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, BackboneState]:
        """Frames [B, t, dim] that the next frames [B, n, C] settle, and the next state.

        Args:
            frames: as they come.
            state: is not changed.
            last: whether nothing follows.
            mask: [B, n, 1], 0 on frames that are padding; only for a whole utterance at once.
        """
        buffers = []
        made, _, buffer = self.embed.step(_masked(frames, mask), state.buffers[0], last=last)
        made = self.first(made)
        buffers.append(buffer)
        for block, before in zip(self._typed(), state.buffers[1:], strict=True):
            made, buffer = block.step(_masked(made, mask), before, last=last)
            buffers.append(buffer)
        return self.final(made), BackboneState(tuple(buffers))

    def _typed(self) -> list[ConvNeXtBlock]:
        return [cast(ConvNeXtBlock, block) for block in self.blocks]

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """All frames [B, T, dim] of whole utterances [B, T, C]."""
        return self.step(frames, self.initial_state(len(frames)), last=True, mask=mask)[0]


def mask_of(lengths: Tensor, frames: int) -> Tensor | None:
    """Mask bool [B, frames, 1] of valid frames, or None when all are."""
    if int(lengths.min()) >= frames:
        return None
    return (torch.arange(frames, device=lengths.device) < lengths[:, None]).unsqueeze(-1)


def _masked(frames: Tensor, mask: Tensor | None) -> Tensor:
    return frames if mask is None else frames * mask


def _shares(total: int, layers: int, most: int) -> list[int]:
    """`total` frames of look-ahead over `layers`, first ones first, at most `most` each."""
    if not 0 <= total <= layers * most:
        raise StentorError(f"it must lie between 0 and {layers * most} (layers and half a kernel), not {total}.",
                           path="lookahead", value=total)  # fmt: skip
    return [min(most, max(0, total - most * layer)) for layer in range(layers)]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
