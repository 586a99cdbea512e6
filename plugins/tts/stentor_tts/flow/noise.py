"""Where sampling begins, and at which times it looks at the model."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def noise(seed: int, first: int, groups: int, positions: int, channels: int) -> Tensor:
    """Standard normal noise float32 [groups * positions, channels] of the groups from number `first` on.

    It belongs to the place of a group in its utterance: a counter-based generator (Salmon et al. 2011, SC) gives each
    group its own stretch, so that however an utterance is cut, its noise is the same.
    """
    rows = [
        np.random.Generator(np.random.Philox(key=seed % 2**64, counter=[0, 0, 0, group])).standard_normal(
            (positions, channels), np.float32
        )
        for group in range(first, first + groups)
    ]
    return torch.from_numpy(np.concatenate(rows)) if rows else torch.zeros(0, channels)


def times(steps: int, sway: float) -> list[float]:
    """The `steps` + 1 times from 0 (noise) to 1 (speech) between which Euler's method goes straight.

    With `sway` below 0 they lie closer together at the beginning (sway sampling, Chen et al. 2024, arXiv 2410.06885);
    0 spaces them evenly.
    """
    even = [step / steps for step in range(steps + 1)]
    return [t + sway * (math.cos(math.pi / 2 * t) - 1 + t) for t in even]
