"""Log-mel frames of a stream of samples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stentor_tts import mel
from stentor_tts.mel import HOP, WINDOW

AHEAD = (WINDOW - HOP) // 2
"""Samples that a frame sees beyond the hop on which it is centred, on either side."""


def initial_state(batch: int, like: Tensor) -> Tensor:
    """Samples [B, n] before the first frame."""
    return like.new_zeros(batch, AHEAD)


def step(audio: Tensor, state: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
    """Log-mel frames [B, t, BINS] that the next samples [B, n] settle, and the next state; those of `mel.log_mel`."""
    known = torch.cat([state, audio], 1)
    if last:
        known = functional.pad(known, (0, AHEAD))
    count = max(0, (known.shape[1] - WINDOW) // HOP + 1)
    if not count:
        return known.new_zeros(len(known), 0, mel.BINS), known
    return mel.of_windows(known.unfold(1, WINDOW, HOP)[:, :count]), known[:, count * HOP :]
