"""The conformer as an encoder: waveform to log-mel features to frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.config import ranges
from stentor.data.augment.spec import SpecAugment
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor_asr.chunked import Past, Span, advance, beginning
from stentor_asr.conformer import Block, Subsampling, rotary_angles, within
from stentor_asr.features import FRAME_RATE, HOP, SAMPLE_RATE, WINDOW, LogMel
from stentor_asr.running_features import FeatureState, RunningLogMel

_STRIDES = {4: (2, 2), 6: (2, 3), 8: (2, 2, 2)}


@dataclass(frozen=True)
class ConformerState:
    """Of a conformer that streams.

    Attributes:
        features: samples held back, and what was heard of each band.
        subsampling: what its convolutions hold.
        pending: [B, t, dim], frames of a chunk that is not yet full.
        blocks: what each block keeps.
    """

    features: FeatureState
    subsampling: tuple[Tensor, ...]
    pending: Tensor
    blocks: tuple[Past, ...]


class Conformer(Encoder):
    """Log-mel features, SpecAugment while training, convolutional subsampling, conformer blocks.

    Method: Gulati et al. 2020, arXiv 2005.08100, with rotary positions, and layer norm in place of batch norm. With a
    `chunk` it streams: see `stentor_asr.chunked` and `stentor_asr.running_features`.

    Args:
        bands: mel bands.
        dim: width; a multiple of ``2 * heads``.
        layers: number of blocks.
        heads: attention heads.
        kernel: frames that the depthwise convolution sees; odd.
        expansion: width of the feed-forward layers as a multiple of `dim`.
        subsampling: feature frames (100 per second) per output frame.
        dropout: in every layer.
        time_masks: SpecAugment's stretches of time per utterance.
        time_share: the widest of them, as a share of the utterance.
        frequency_masks: SpecAugment's bands per utterance.
        frequency_width: the widest of them (mel bands).
        chunk: output frames that are encoded together, seeing nothing after them; 0 sees the whole utterance.
        left: chunks before the own one that attention sees.
    """

    capabilities = frozenset({"streaming"})
    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        *,
        bands: int = 80,
        dim: int = 144,
        layers: int = 4,
        heads: int = 4,
        kernel: int = 15,
        expansion: int = 4,
        subsampling: Literal[4, 6, 8] = 4,
        dropout: float = 0.1,
        time_masks: int = 2,
        time_share: float = 0.15,
        frequency_masks: int = 2,
        frequency_width: int = 15,
        chunk: int = 0,
        left: int = 4,
    ) -> None:
        super().__init__()
        self.spec(dim=dim, heads=heads, kernel=kernel, subsampling=subsampling, chunk=chunk, left=left)
        self.dim, self.heads, self.frame_rate = dim, heads, FRAME_RATE / subsampling
        self.span = Span(chunk, left)
        self.features = RunningLogMel(bands) if chunk else LogMel(bands)
        self.augment = SpecAugment(
            time_masks=time_masks,
            time_width=10_000,
            time_share=time_share,
            frequency_masks=frequency_masks,
            frequency_width=frequency_width,
        )
        self.subsampling = Subsampling(bands, dim, _STRIDES[subsampling])
        self.blocks = nn.ModuleList(Block(dim, heads, kernel, expansion, dropout) for _ in range(layers))

    @classmethod
    def spec(
        cls,
        *,
        dim: int = 144,
        heads: int = 4,
        kernel: int = 15,
        subsampling: int = 4,
        chunk: int = 0,
        left: int = 4,
        **_: Any,
    ) -> EncoderSpec:
        widths = dim > 0 and heads > 0 and dim % (2 * heads) == 0
        wanted = {
            "dim": (dim, (widths, f"a multiple of twice the number of heads, {heads}, not {dim}")),
            "heads": (heads, ranges.least(heads, 1)),
            "kernel": (kernel, (kernel > 0 and kernel % 2 == 1, f"positive and odd, not {kernel}")),
            "chunk": (chunk, ranges.least(chunk, 0)),
            "left": (left, ranges.least(left, 0)),
        }
        ranges.refuse(wanted, "encoder.")
        return EncoderSpec(dim, FRAME_RATE / subsampling, SAMPLE_RATE)

    def frames(self, samples: int) -> int:
        count = LogMel.frames(samples)
        for stride in self.subsampling.strides:
            count = -(-count // stride)
        return count

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(*self.features(audio, lengths))

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, dim] and lengths int64 [B] of what `features` gave: [B, T', bands] and lengths [B]."""
        features = self.augment(features.to(next(self.parameters()).dtype), lengths)
        hidden, counts = self.subsampling(features, lengths)
        valid = within(counts, hidden.shape[1])
        if self.streams:
            past = [beginning(block, self.span, len(hidden), hidden) for block in self._blocks]
            hidden, _ = self._through_chunks(hidden, valid, past)
        else:
            angles = rotary_angles(hidden.shape[1], self.dim // self.heads, hidden)
            for block in self.blocks:
                hidden = block(hidden, valid, angles)
        return hidden * valid[..., None], counts

    @property
    def streams(self) -> bool:
        return self.span.chunk > 0

    @property
    def delay(self) -> float:
        return self.span.chunk / self.frame_rate + (WINDOW - HOP) / SAMPLE_RATE

    def initial_state(self, batch: int) -> ConformerState:
        if not isinstance(self.features, RunningLogMel):
            raise self.no_streaming("it sees whole utterances; encoder.chunk gives it frames to see at a time")
        features = self.features.initial_state(batch)
        like = next(self.parameters()).new_zeros(batch, 0, self.dim)
        blocks = tuple(beginning(block, self.span, batch, like) for block in self._blocks)
        return ConformerState(features, self.subsampling.beginning(like), like, blocks)

    @torch.no_grad()
    def step(self, audio: Tensor, state: ConformerState, *, last: bool = False) -> tuple[Tensor, ConformerState]:
        assert isinstance(self.features, RunningLogMel)
        features, heard = self.features.step(audio, state.features, last=last)
        new, held = self.subsampling.step(features.to(state.pending.dtype), state.subsampling, last)
        pending = torch.cat([state.pending, new], 1)
        ready = pending.shape[1] if last else pending.shape[1] // self.span.chunk * self.span.chunk
        if not ready:
            return pending[:, :0], ConformerState(heard, held, pending, state.blocks)
        valid = torch.ones(len(audio), ready, dtype=torch.bool, device=pending.device)
        frames, blocks = self._through_chunks(pending[:, :ready], valid, state.blocks)
        return frames, ConformerState(heard, held, pending[:, ready:], tuple(blocks))

    @property
    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _through_chunks(self, hidden: Tensor, valid: Tensor, past: Sequence[Past]) -> tuple[Tensor, list[Past]]:
        """Frames [B, T, dim] through all blocks; the last chunk is filled up with padding."""
        length, kept = hidden.shape[1], []
        missing = -length % self.span.chunk
        hidden, valid = functional.pad(hidden, (0, 0, 0, missing)), functional.pad(valid, (0, missing))
        for block, before in zip(self._blocks, past, strict=True):
            hidden, after = advance(block, self.span, hidden, valid, before)
            kept.append(after)
        return hidden[:, :length], kept
