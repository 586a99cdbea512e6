"""Where a stream of codes stands, and which of them can be spoken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts.flow.layers import KeyValue

Memories = tuple[tuple[Tensor, ...], ...]
"""For each Euler step, what the layers remember of past chunks."""


@dataclass(frozen=True)
class Voice:
    """What the network knows of who speaks.

    Attributes:
        vector: [B, D].
        heard: keys and values of the reference's tokens, for each attention.
        valid: which of the tokens exist, bool [B, R].
    """

    vector: Tensor
    heard: list[KeyValue]
    valid: Tensor


@dataclass(frozen=True)
class FlowState:
    """Where one stream stands; it belongs to that stream and is never changed.

    Attributes:
        voice: who speaks.
        seed: of its noise.
        done: positions whose frames are out.
        waiting: embedded codes [1, T, D], from the look-around of the next chunk on.
        memories: what the layers remember.
    """

    voice: Voice
    seed: int
    done: int = 0
    waiting: Tensor = field(default_factory=lambda: torch.zeros(1, 0, 0))
    memories: Memories = ()

    def joined(self, embedded: Tensor) -> FlowState:
        """With further codes [1, T, D]."""
        waiting = torch.cat([self.waiting, embedded], dim=1) if self.waiting.numel() else embedded
        return replace(self, waiting=waiting)

    def ready(self, chunk: int, margin: int, *, last: bool) -> int:
        """How many positions can be made now: a chunk whose look-ahead is there, or at the end what is left."""
        left = self.waiting.shape[1] - self.before(margin)
        if last:
            return min(left, chunk)
        return chunk if left >= chunk + margin else 0

    def before(self, margin: int) -> int:
        """Positions that are done and still there, because the next chunk looks around."""
        return min(self.done, margin)

    def window(self, count: int, margin: int) -> tuple[Tensor, Tensor]:
        """Codes [1, margin + count + margin, D] around the next `count` positions, and which of them exist."""
        before = self.before(margin)
        found = self.waiting[:, : before + count + margin]
        around = margin - before, before + count + margin - found.shape[1]
        valid = functional.pad(found.new_ones(1, found.shape[1], dtype=torch.bool), around)
        return functional.pad(found, (0, 0, *around)), valid

    def after(self, count: int, margin: int, memories: Memories) -> FlowState:
        """Once the next `count` positions are made."""
        done = self.done + count
        rest = self.waiting[:, self.before(margin) + count - min(done, margin) :]
        return replace(self, done=done, waiting=rest, memories=memories)
