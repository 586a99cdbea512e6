"""The learning curves of a run, out of its ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from stentor.report.plots import Series, lines, smoothed

_NOT_A_LOSS = {"step", "elapsed", "epoch", "lr", "grad_norm", "loss", "audio_seconds_per_second", "units_per_second"}


def curves(metrics: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """(title, chart) of loss, validation metrics, learning rate and speed, as far as they were logged."""
    found = [
        ("Loss", lines(_losses(metrics), x_label="step", y_label="loss", from_zero=True)),
        ("Validation", lines(_validation(metrics), x_label="step", y_label="%", from_zero=True)),
        ("Learning rate", lines([Series("lr", series(metrics, "lr"))], x_label="step", y_label="learning rate")),
        ("Speed", lines([Series("speed", series(metrics, "audio_seconds_per_second"))], x_label="step",
                        y_label="seconds of audio per second", from_zero=True)),
    ]  # fmt: skip
    return [(title, chart) for title, chart in found if chart]


def series(metrics: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """(step, value) of a logged metric."""
    return [(line["step"], line[name]) for line in metrics if isinstance(line.get(name), int | float)]


def _losses(metrics: Sequence[Mapping[str, Any]]) -> list[Series]:
    raw = series(metrics, "loss")
    logged = dict.fromkeys(name for line in metrics for name in line)
    names = [name for name in logged if name not in _NOT_A_LOSS and not name.startswith("valid")]
    parts = [Series(name, smoothed(series(metrics, name)), f"s{2 + n % 6}") for n, name in enumerate(names)]
    valid = Series("validation", series(metrics, "valid_loss"), "s1", dots=True)
    return [Series("each step", raw, "faint"), *parts, Series("training", smoothed(raw)), valid]


def _validation(metrics: Sequence[Mapping[str, Any]]) -> list[Series]:
    logged = dict.fromkeys(name for line in metrics for name in line)
    names = [name for name in logged if name.startswith("valid_") and name.removeprefix("valid_") not in logged]
    return [
        Series(name.removeprefix("valid_").upper(), series(metrics, name), f"s{n % 8}", dots=True)
        for n, name in enumerate(names)
    ]
