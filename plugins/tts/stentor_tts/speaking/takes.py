"""Codes of several sentences to samples: those of one seed and of like length side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stentor.data.resample import Samples
from stentor.interfaces.codec import Codes
from stentor_tts.interfaces import Reference
from stentor_tts.lm.rendering import Renderer

_ALIKE = 2 / 3
"""Of the longest of a batch, which all of it are padded to, the shortest has so much at least."""


@dataclass(frozen=True)
class Take:
    """What a sentence is rendered from.

    Attributes:
        codes: all of them; no books where nothing is said.
        reference: whom the acoustic model hears.
        seed: of its noise.
    """

    codes: Codes
    reference: Reference | None
    seed: int


def rendered(renderer: Renderer, takes: Sequence[Take], device: torch.device) -> list[Samples]:
    """Samples mono float32 [N] of each take, which are those it has alone."""
    found = [np.zeros(0, np.float32) for _ in takes]
    for rows in _batches(takes):
        some = [takes[row] for row in rows]
        waves = renderer([one.codes for one in some], [one.reference for one in some], device, seed=some[0].seed)
        for row, wave in zip(rows, waves, strict=True):
            found[row] = wave.float().cpu().numpy()
    return found


def _batches(takes: Sequence[Take]) -> list[list[int]]:
    """Numbers of the takes that say something, the longest first."""
    batches: list[list[int]] = []
    lengths = [sum(map(len, one.codes)) for one in takes]
    for row in sorted(filter(lengths.__getitem__, range(len(takes))), key=lambda row: (takes[row].seed, -lengths[row])):
        first = batches[-1][0] if batches else row
        alike = takes[first].seed == takes[row].seed and lengths[row] >= _ALIKE * lengths[first]
        if batches and alike:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
