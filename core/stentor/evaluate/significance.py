"""Confidence intervals and paired tests for corpus-level ratios.

A metric gives (errors, units) per utterance; its value is total errors over total units, so the utterance is what is
resampled (Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation").
Approximate randomisation is Noreen's (1989), the adjustment for several comparisons Holm's (1979), the bootstrap over
runs and items Owen's (2007, "The pigeonhole bootstrap").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Counts = Sequence[tuple[float, float]]

_CELLS = 4_000_000
"""Most random numbers held at once."""


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its confidence interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Second minus first system: difference with its interval, and the p-value of no difference."""

    difference: float
    low: float
    high: float
    p: float


def ratio(counts: Counts) -> float:
    """Total errors over total units; NaN without units."""
    errors, units = np.asarray(counts, dtype=float).reshape(-1, 2).sum(0)
    return float(errors / units) if units else math.nan


def bootstrap(counts: Counts, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile interval of `ratio` over resampled utterances."""
    table, value = np.asarray(counts, dtype=float).reshape(-1, 2), ratio(counts)
    if math.isnan(value):
        return Interval(value, math.nan, math.nan)
    return Interval(value, *_bounds(_resampled(table, resamples, seed), confidence))


def compare(
    first: Counts, second: Counts, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Two systems on the same utterances, in the same order.

    The interval is a paired bootstrap (both systems on each resample); the two-sided p-value is approximate
    randomisation (the systems' counts are swapped per utterance with probability 1/2), with the observed assignment
    counted in, so that p is never below ``1 / (resamples + 1)``.

    Raises:
        ValueError: when the two differ in length.
    """
    a, b = (np.asarray(counts, dtype=float).reshape(-1, 2) for counts in (first, second))
    if len(a) != len(b):
        raise ValueError(f"paired systems need the same utterances, not {len(a)} and {len(b)}")
    observed = ratio(second) - ratio(first)
    if math.isnan(observed):
        return Comparison(math.nan, math.nan, math.nan, math.nan)
    low, high = _bounds(_resampled(np.concatenate((a, b), axis=1), resamples, seed), confidence)
    return Comparison(observed, low, high, _randomisation(a, b, abs(observed), resamples, seed))


def over_seeds(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Mean of repeated runs with Student's t interval; the bounds are NaN for fewer than two runs."""
    mean = float(np.mean(values)) if len(values) else math.nan
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * spread
    return Interval(mean, mean - half, mean + half)


def hierarchical(
    values: Sequence[Sequence[float]], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over repeated runs of their means over items, with an interval that counts runs and items as drawn.

    Each resample draws runs, then items, the same items for all of its runs: what makes an item hard makes it hard for
    every run, so that runs on the same items do not make up for items that are few. A single run leaves the bootstrap
    over items. Few runs are spread too little by the bootstrap (their variance by a factor of ``(runs - 1) / runs``),
    so that with three of them the interval is on the narrow side.

    Args:
        values: float [runs, items]; NaN where a run has no value of an item.
        resamples: how many.
        confidence: share of the resamples within the bounds.
        seed: of the resamples.

    Raises:
        ValueError: when runs differ in their number of items.
    """
    if len({len(run) for run in values}) > 1:
        raise ValueError(f"runs need the same items, not {' and '.join(str(len(run)) for run in values)} of them")
    table = np.asarray([run for run in values if not np.isnan(run).all()], dtype=float)
    if not table.size:
        return Interval(math.nan, math.nan, math.nan)
    known, filled = (~np.isnan(table)).astype(float), np.nan_to_num(table)

    def draw(random: np.random.Generator, rows: int) -> np.ndarray:
        times, items = (random.multinomial(size, np.full(size, 1 / size), rows) for size in table.shape)
        with np.errstate(invalid="ignore"):
            means = (items @ filled.T) / (items @ known.T)  # [rows, runs]
        used = times * ~np.isnan(means)
        with np.errstate(invalid="ignore"):
            return np.asarray((used * np.nan_to_num(means)).sum(1) / used.sum(1))

    value = float((filled.sum(1) / known.sum(1)).mean())
    return Interval(value, *_bounds(np.concatenate(list(_blocks(draw, table.shape[1], resamples, seed))), confidence))


def compare_seeds(first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95) -> Comparison:
    """Paired t-test over runs that share their seeds, in the same order; NaN for fewer than two pairs."""
    differences = [b - a for a, b in zip(first, second, strict=True)]
    interval = over_seeds(differences, confidence=confidence)
    if len(differences) < 2:
        return Comparison(interval.value, math.nan, math.nan, math.nan)
    spread = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    if spread == 0:
        return Comparison(interval.value, interval.low, interval.high, float(interval.value == 0))
    p = 2 * (1 - t_distribution(abs(interval.value) / spread, len(differences) - 1))
    return Comparison(interval.value, interval.low, interval.high, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several (Holm's step-down); NaN entries stay NaN and do not count."""
    valid = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, index) in enumerate(valid):
        highest = max(highest, min(1.0, (len(valid) - rank) * p))
        adjusted[index] = highest
    return adjusted


def t_distribution(t: float, freedom: int) -> float:
    """P(T <= t) of Student's t with an integer number of degrees of freedom (Abramowitz and Stegun 26.7.3-4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = total = (cosine if odd else 1.0) if freedom > 1 else 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + inside / 2


def t_quantile(probability: float, freedom: int) -> float:
    """The t with ``t_distribution(t, freedom) == probability``, for probabilities in (0.5, 1)."""
    low, high = 0.0, 1.0
    while t_distribution(high, freedom) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_distribution(middle, freedom) < probability else (low, middle)
    return high


def _resampled(table: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Ratio (or difference of two ratios) of each resample; `table` has errors and units of one or two systems."""

    def draw(random: np.random.Generator, rows: int) -> np.ndarray:
        sums = table[random.integers(0, len(table), (rows, len(table)))].sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = sums[:, ::2] / sums[:, 1::2]
        return ratios[:, -1] - (ratios[:, 0] if ratios.shape[1] == 2 else 0.0)

    return np.concatenate(list(_blocks(draw, len(table), resamples, seed)))


def _randomisation(a: np.ndarray, b: np.ndarray, observed: float, resamples: int, seed: int) -> float:
    total, gap = a.sum(0) + b.sum(0), b - a

    def draw(random: np.random.Generator, rows: int) -> np.ndarray:
        signs = random.integers(0, 2, (rows, len(a))) * 2.0 - 1
        second = (total + signs @ gap) / 2
        first = total - second
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.abs(second[:, 0] / second[:, 1] - first[:, 0] / first[:, 1])

    differences = np.concatenate(list(_blocks(draw, len(a), resamples, seed)))
    return float((np.sum(differences >= observed - 1e-12) + 1) / (resamples + 1))


def _blocks(
    draw: Callable[[np.random.Generator, int], np.ndarray], items: int, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    random, rows = np.random.default_rng(seed), max(1, _CELLS // max(1, items))
    for start in range(0, resamples, rows):
        yield draw(random, min(rows, resamples - start))


def _bounds(values: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.nanquantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)
