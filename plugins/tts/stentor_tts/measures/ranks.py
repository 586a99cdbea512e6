"""Rank correlation as a sum over rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, float64 [N]; equal values share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places]


def spearman_terms(first: Sequence[float], second: Sequence[float]) -> NDArray[np.float64]:
    """What each pair adds to Spearman's rank correlation, its mean; zeros where one side is constant.

    Spearman 1904, in the form that allows for ties: Pearson's correlation of the ranks.
    """
    if not len(first):
        return np.zeros(0)
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    spread = np.sqrt(np.mean(a**2) * np.mean(b**2))
    return a * b / spread if spread else np.zeros(len(a))
