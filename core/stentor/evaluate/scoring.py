"""From decoded rows to metrics with intervals, targets and the numbers around them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from stentor.evaluate import significance
from stentor.evaluate.journal import Row
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.metric import Metric
from stentor.plugins import registry


def build_metrics(names: Sequence[str], normaliser: str) -> dict[str, Metric]:
    """The named metrics; those that take a normaliser get `normaliser`."""
    built = {}
    for name in names:
        cls = registry().get("metric", name, path="evaluate.metrics").load()
        takes = "normaliser" in inspect.signature(cls.__init__).parameters
        built[name] = cls(normaliser=normaliser) if takes else cls()
    return built


def score(
    rows: Sequence[Row], metrics: Mapping[str, Metric], settings: EvaluateSettings, targets: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Metrics of a set, and into each row its ``counts``: metric -> [errors, units].

    Args:
        rows: decoded utterances; those marked ``unscored`` do not count.
        metrics: by name.
        settings: bootstrap and confidence.
        targets: metric -> value to reach, in the metric's unit.
    """
    scored = [row for row in rows if "unscored" not in row]
    for row in scored:
        row["counts"] = {}
    results = {}
    for name, metric in metrics.items():
        counts = metric.counts([row["reference"] for row in scored], [row["output"] for row in scored])
        for row, pair in zip(scored, counts, strict=True):
            row["counts"][name] = list(pair)
        results[name] = _summary(counts, metric, settings)
        if name in targets:
            results[name] |= _verdict(results[name]["value"], targets[name], metric)
    return results


def scale(metric: Metric) -> float:
    """What a ratio is multiplied by to be in the metric's unit."""
    return 100.0 if metric.unit == "%" else 1.0


def worst(rows: Sequence[Row], metric: str, most: int) -> list[Row]:
    """Rows by number of errors, then by rate, worst first; only rows with errors."""
    wrong = [row for row in rows if row.get("counts", {}).get(metric, [0])[0]]
    key = lambda row: (-row["counts"][metric][0], row["counts"][metric][1], row["id"])  # noqa: E731
    return sorted(wrong, key=key)[:most]


def shown(rows: Sequence[Row], metric: str, most: int, least: int = 2) -> list[Row]:
    """What a report shows: the worst utterances, and the longest faultless ones where fewer than `least` are wrong."""
    wrong = worst(rows, metric, most)
    right = [row for row in rows if metric in row.get("counts", {}) and not row["counts"][metric][0]]
    return wrong + sorted(right, key=lambda row: (-row["duration"], row["id"]))[: max(0, least - len(wrong))]


def _summary(counts: significance.Counts, metric: Metric, settings: EvaluateSettings) -> dict[str, Any]:
    interval = significance.bootstrap(
        counts, resamples=settings.bootstrap, confidence=settings.confidence, seed=settings.bootstrap_seed
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
    }


def _verdict(value: float | None, target: float, metric: Metric) -> dict[str, Any]:
    met = value is not None and (value <= target if metric.lower_is_better else value >= target)
    return {"target": target, "met": met}


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
