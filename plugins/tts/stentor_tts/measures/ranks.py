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
    """What each pair adds to Spearman's rank correlation, float64 [N, 2]: sum of the first column over the second's.

    Spearman 1904, in the form that allows for ties: Pearson's correlation of the ranks. The second column is half the
    sum of both ranks' squared standard scores, whose mean is 1: so any choice of pairs gives a value in [-1, 1].
    Where one side is constant there is no correlation, and everything is 0.
    """
    if not len(first):
        return np.zeros((0, 2))
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    spreads = np.sqrt(np.mean(a**2)), np.sqrt(np.mean(b**2))
    if not all(spreads):
        return np.zeros((len(a), 2))
    a, b = a / spreads[0], b / spreads[1]
    return np.stack([a * b, (a**2 + b**2) / 2], axis=1)
