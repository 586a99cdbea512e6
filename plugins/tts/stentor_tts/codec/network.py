"""Encoder and decoder of the neural codecs: causal ConvNeXt blocks at two rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stentor_tts import mel
from stentor_tts.codec import front
from stentor_tts.convnext import BackboneState, ConvNeXt
from stentor_tts.vocoders.heads import Head


@dataclass(frozen=True)
class Shape:
    """Widths and depths: `dim` and `layers` at 100 frames per second, `inner` and `inner_layers` at the codes' rate,
    where `ratio` frames are one; `expansion` inside of every block."""

    dim: int
    layers: int
    inner: int
    inner_layers: int
    expansion: int
    ratio: int


@dataclass(frozen=True)
class EncoderState:
    """Samples that later frames need [B, n], both backbones, frames that fill no group yet [B, t, dim]."""

    audio: Tensor
    outer: BackboneState
    waiting: Tensor
    inner: BackboneState


class Encoder(nn.Module):
    """Samples to vectors, one for every `ratio` frames of 10 ms; it sees 15 ms beyond these."""

    def __init__(self, shape: Shape, dim: int) -> None:
        super().__init__()
        self.ratio = shape.ratio
        self.outer = ConvNeXt(mel.BINS, dim=shape.dim, layers=shape.layers, expansion=shape.expansion)
        self.fold = nn.Linear(shape.ratio * shape.dim, shape.inner)
        self.inner = ConvNeXt(shape.inner, dim=shape.inner, layers=shape.inner_layers, expansion=shape.expansion)
        self.project = nn.Linear(shape.inner, dim)

    def initial_state(self, batch: int) -> EncoderState:
        like = self.fold.weight
        waiting = like.new_zeros(batch, 0, like.shape[1] // self.ratio)
        audio = front.initial_state(batch, like)
        return EncoderState(audio, self.outer.initial_state(batch), waiting, self.inner.initial_state(batch))

    def step(self, audio: Tensor, state: EncoderState, *, last: bool) -> tuple[Tensor, EncoderState]:
        """Vectors [B, t, dim] that the next samples [B, n] settle, and the next state."""
        frames, held = front.step(audio, state.audio, last=last)
        made, outer = self.outer.step(mel.normalised(frames), state.outer, last=last)
        waiting = torch.cat([state.waiting, made], 1)
        count = waiting.shape[1] // self.ratio
        groups = waiting[:, : count * self.ratio].reshape(len(waiting), count, self.ratio * waiting.shape[2])
        made, inner = self.inner.step(self.fold(groups), state.inner, last=last)
        return self.project(made), EncoderState(held, outer, waiting[:, count * self.ratio :], inner)


@dataclass(frozen=True)
class DecoderState:
    """Both backbones and the head."""

    inner: BackboneState
    outer: BackboneState
    head: Any


class Decoder(nn.Module):
    """Vectors to log-mel frames and features of them, and through the head to samples."""

    def __init__(self, shape: Shape, dim: int, head: Head) -> None:
        super().__init__()
        self.ratio, self.head = shape.ratio, head
        self.inner = ConvNeXt(dim, dim=shape.inner, layers=shape.inner_layers, expansion=shape.expansion)
        self.unfold = nn.Linear(shape.inner, shape.ratio * shape.dim)
        self.outer = ConvNeXt(shape.dim, dim=shape.dim, layers=shape.layers, expansion=shape.expansion)
        self.level = nn.Linear(shape.dim, mel.BINS)

    def initial_state(self, batch: int, *, start: int = 0) -> DecoderState:
        inner, outer = self.inner.initial_state(batch), self.outer.initial_state(batch)
        return DecoderState(inner, outer, self.head.initial_state(batch, start=start))

    def frames(self, vectors: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """Features [B, t, dim] and log-mel frames [B, t, BINS] of the next vectors, and the state but for the head."""
        made, inner = self.inner.step(vectors, state.inner, last=False)
        spread = self.unfold(made).unflatten(2, (self.ratio, -1)).flatten(1, 2)
        made, outer = self.outer.step(spread, state.outer, last=False)
        return made, mel.restored(self.level(made)), DecoderState(inner, outer, state.head)

    def step(
        self, vectors: Tensor, state: DecoderState, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Samples [B, n] that the next vectors [B, t, dim] settle, and the next state; `mask` as `Head.step` has it."""
        made, frames, state = self.frames(vectors, state)
        samples, head = self.head.step(made, frames, state.head, last=last, mask=mask)
        return samples, DecoderState(state.inner, state.outer, head)
