"""Log-mel features that look at nothing to come, so that they can be computed while somebody speaks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stentor_asr.features import HOP, WINDOW, LogMel

_MEAN, _DEVIATION = -5.5, 4.8
"""Of log energies in ordinary recordings: what a band is taken for before anything was heard."""
_WEIGHT = 100.0
"""Frames that this first guess counts for."""


@dataclass(frozen=True)
class FeatureState:
    """Between two calls of `RunningLogMel.step`.

    Attributes:
        held: float32 [B, n], samples that a frame to come still needs.
        count: frames given out, the first guess among them.
        total: float64 [B, bands], sum of their log energies.
        squares: float64 [B, bands], sum of their squares.
    """

    held: Tensor
    count: float
    total: Tensor
    squares: Tensor


class RunningLogMel(LogMel):
    """Log-mel energies normalised in each band by the mean and deviation of what was heard up to the frame.

    A first guess stands in for the past of the first frames. Otherwise as `LogMel`, whose mean is the utterance's.
    """

    def initial_state(self, batch: int) -> FeatureState:
        """The state of `batch` new streams."""
        like = self.filters
        first = torch.full((batch, self.bands), _WEIGHT * _MEAN, dtype=torch.float64, device=like.device)
        squares = torch.full_like(first, _WEIGHT * (_MEAN**2 + _DEVIATION**2))
        held = torch.zeros(batch, 0, device=like.device)
        return FeatureState(held, _WEIGHT, first, squares)

    @torch.no_grad()
    def step(self, audio: Tensor, state: FeatureState, *, last: bool = False) -> tuple[Tensor, FeatureState]:
        """Features float32 [B, t, bands] of the next samples [B, n], and the next state."""
        held = torch.cat([state.held, audio.float()], dim=1)
        if last and state.count == _WEIGHT and held.shape[1] < WINDOW:
            held = functional.pad(held, (0, WINDOW - held.shape[1]))
        count = max(0, (held.shape[1] - WINDOW) // HOP + 1)
        if not count:
            empty = held.new_zeros(len(held), 0, self.bands)
            return empty, FeatureState(held, state.count, state.total, state.squares)
        energies = torch.stack([self._energies(row[: (count - 1) * HOP + WINDOW]) for row in held])
        features, total, squares = normalised(energies, state.count, state.total, state.squares)
        return features, FeatureState(held[:, count * HOP :], state.count + count, total, squares)

    def _normal(self, features: Tensor) -> Tensor:  # type: ignore[override]
        start = self.initial_state(1)
        return normalised(features[None], start.count, start.total, start.squares)[0][0]


def normalised(energies: Tensor, count: float, total: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log energies [B, T, bands], each normalised by all up to it and what came before, and the new sums.

    Args:
        energies: float32 [B, T, bands].
        count: frames before.
        total: float64 [B, bands], their sum.
        squares: float64 [B, bands], the sum of their squares.
    """
    exact = energies.double()
    totals = total[:, None] + exact.cumsum(1)
    squared = squares[:, None] + exact.square().cumsum(1)
    counts = count + torch.arange(1, energies.shape[1] + 1, dtype=torch.float64, device=energies.device)[:, None]
    mean = totals / counts
    deviation = (squared / counts - mean.square()).clamp(min=0).sqrt()
    return ((exact - mean) / (deviation + 0.1)).float(), totals[:, -1], squared[:, -1]
