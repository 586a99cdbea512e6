"""From decoded rows to metrics with intervals, targets and the numbers around them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from stentor.evaluate import significance
from stentor.evaluate.journal import Row
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.metric import AudioMetric, Counts, Metric, Spoken
from stentor.plugins import registry


def build_metrics(
    names: Sequence[str], normaliser: str, configured: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Metric]:
    """The named metrics, which get `normaliser` if they take one, and those `configured` with their own settings."""
    built = {}
    for name in names:
        cls = registry().get("metric", name, path="evaluate.metrics").load()
        takes = "normaliser" in inspect.signature(cls.__init__).parameters
        built[name] = cls(normaliser=normaliser) if takes else cls()
    for section in configured:
        built[section["name"]] = registry().build("metric", **section)
    return built


def score(
    rows: Sequence[Row],
    metrics: Mapping[str, Metric],
    settings: EvaluateSettings,
    targets: Mapping[str, float],
    spoken: Mapping[str, Spoken] | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of a set, and into each row its ``counts``: metric -> [errors, units].

    Args:
        rows: decoded utterances; those marked ``unscored`` do not count.
        metrics: by name.
        settings: bootstrap and confidence.
        targets: metric -> value to reach, in the metric's unit.
        spoken: row id -> what was said, for metrics of audio.
    """
    scored = [row for row in rows if "unscored" not in row]
    for row in scored:
        row["counts"] = {}
    results = {}
    for name, metric in metrics.items():
        counts, blocks = _counts(metric, scored, spoken or {})
        for row, pair in zip(scored, counts, strict=True):
            row["counts"][name] = list(pair)
        results[name] = _summary(counts, blocks, metric, settings)
        if name in targets:
            results[name] |= verdict(results[name]["value"], targets[name], lower=metric.lower_is_better)
    return results


def _counts(metric: Metric, rows: Sequence[Row], spoken: Mapping[str, Spoken]) -> tuple[list[Counts], list[list[int]]]:
    """(errors, units) of every row, and which rows are resampled together."""
    if not isinstance(metric, AudioMetric):
        counts = metric.counts([row["reference"] for row in rows], [row["output"] for row in rows])
        return counts, [[index] for index in range(len(rows))]
    said = [index for index, row in enumerate(rows) if row["id"] in spoken]
    given = [spoken[rows[index]["id"]] for index in said]
    counts = [metric.unspoken(row["reference"]) for row in rows]
    for index, pair in zip(said, metric.measure(given), strict=True):
        counts[index] = pair
    blocks = [[said[place] for place in block] for block in metric.blocks(given)]
    return counts, blocks + [[index] for index in range(len(rows)) if rows[index]["id"] not in spoken]


def scale(metric: Metric) -> float:
    """What a ratio is multiplied by to be in the metric's unit."""
    return 100.0 if metric.unit == "%" else 1.0


def worst(rows: Sequence[Row], metric: str, most: int, *, lower: bool = True) -> list[Row]:
    """Rows by number of errors, then by rate, worst first; only rows with errors.

    Where lower is not better, `errors` are points: rows with the fewest points per unit come first.
    """
    wrong = [row for row in rows if row.get("counts", {}).get(metric, [0])[0]]
    if not lower:
        measured = [row for row in rows if row.get("counts", {}).get(metric, [0, 0])[1]]
        return sorted(measured, key=lambda row: (_rate(row, metric), row["id"]))[:most]
    key = lambda row: (-row["counts"][metric][0], row["counts"][metric][1], row["id"])  # noqa: E731
    return sorted(wrong, key=key)[:most]


def _rate(row: Row, metric: str) -> float:
    errors, units = row["counts"][metric]
    return float(errors / units)


def shown(rows: Sequence[Row], metric: str, most: int, least: int = 2, *, lower: bool = True) -> list[Row]:
    """What a report shows: the worst utterances, and the longest faultless ones where fewer than `least` are wrong."""
    wrong = worst(rows, metric, most, lower=lower)
    if not lower:
        return wrong
    right = [row for row in rows if metric in row.get("counts", {}) and not row["counts"][metric][0]]
    return wrong + sorted(right, key=lambda row: (-row["duration"], row["id"]))[: max(0, least - len(wrong))]


def _summary(
    counts: Sequence[Counts], blocks: Sequence[Sequence[int]], metric: Metric, settings: EvaluateSettings
) -> dict[str, Any]:
    summed = [(sum(counts[one][0] for one in block), sum(counts[one][1] for one in block)) for block in blocks]
    interval = significance.bootstrap(
        summed, resamples=settings.bootstrap, confidence=settings.confidence, seed=settings.bootstrap_seed
    )
    value, low, high = (_json(scale(metric) * part) for part in (interval.value, interval.low, interval.high))
    return {
        "value": value,
        "low": low,
        "high": high,
        "errors": sum(errors for errors, _ in counts),
        "units": sum(units for _, units in counts),
        "unit": metric.unit,
        "lower_is_better": metric.lower_is_better,
        "description": metric.describe(),
        "confidence": settings.confidence,
        "resamples": settings.bootstrap,
        **({"blocks": len(blocks)} if len(blocks) != len(counts) else {}),
    }


def verdict(value: float | None, target: float, *, lower: bool) -> dict[str, Any]:
    """``target`` and whether it is ``met``."""
    return {"target": target, "met": value is not None and (value <= target if lower else value >= target)}


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
