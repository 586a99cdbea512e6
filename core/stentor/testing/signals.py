"""Inputs of the contracts: made by formula, the same everywhere."""

from __future__ import annotations

import torch
from torch import Tensor

SENTENCES = (
    "turn left at the old bridge",
    "the green lamp is on the table",
    "seven small boats leave the harbour",
    "please call me back tomorrow morning",
    "she reads a letter from her brother",
    "open the window and close the door",
    "the train to the north is late again",
    "two cups of tea without sugar",
)
"""Plain lower-case English, to train tokenizers on and to speak."""


def voiced(samples: int, sample_rate: int, pitch: float = 120.0) -> Tensor:
    """A buzzing, wavering sound with a little noise, float [samples] in [-1, 1]; `pitch` in Hz."""
    time = torch.arange(samples, dtype=torch.float64) / sample_rate
    phase = 2 * torch.pi * (pitch * time + 3.0 * torch.sin(2 * torch.pi * 2.5 * time))
    buzz = sum(torch.sin(phase * harmonic) / harmonic for harmonic in range(1, 9))
    noise = torch.rand(samples, generator=torch.Generator().manual_seed(samples), dtype=torch.float64) - 0.5
    swell = 0.6 + 0.4 * torch.sin(2 * torch.pi * 3.0 * time)
    return (0.25 * swell * buzz + 0.02 * noise).float()


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
