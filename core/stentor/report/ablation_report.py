"""The report of an ablation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stentor.ablate import tables
from stentor.ablate.summary import Group, Summary
from stentor.evaluate.significance import Interval
from stentor.report import page
from stentor.report.curves import series
from stentor.report.gather import metric_lines
from stentor.report.plots import Series, lines, smoothed

_COLOURS = 8
_LOG_TAIL = 2500


def write(summary: Summary, path: Path) -> Path:
    """Write the page; see `stentor.report.page`."""
    return page.write(
        path,
        "ablation.html.jinja",
        plan=summary.plan,
        cells=len(summary.plan.cells),
        grids=tables.grids(summary),
        labels=[group.label for group in summary.groups],
        meaning=[line for line in tables.meaning(summary) if line],
        dots=[_dots(summary, column) for column in summary.columns],
        curves=_curves(summary),
        columns=summary.columns,
        values=_values(summary),
        failed=[{"name": cell.name, "error": error, "log": _tail(cell.folder)} for cell, error in summary.failed],
        configs=[(run.cell.name, _text(run.cell.folder / "config.yaml")) for g in summary.groups for run in g.runs],
        command=tables.command(summary.plan),
        descriptions=_descriptions(summary),
    )


def _dots(summary: Summary, column: tuple[str, str]) -> dict[str, Any]:
    """Means with intervals on one scale, the baseline among them."""
    found = [_dot(group, column) for group in summary.groups if column in group.scores]
    known = [one[key] for one in found for key in ("value", "low", "high") if one[key] is not None]
    low, high = min(known), max(known)
    margin = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    name, metric = column
    unit = _unit(summary, column)
    return {
        "set": name,
        "metric": metric.upper(),
        "low": low - margin,
        "high": high + margin,
        "items": found,
        "unit": unit,
    }


def _dot(group: Group, column: tuple[str, str]) -> dict[str, Any]:
    interval: Interval = group.scores[column].interval
    low, high = (None if part is None or math.isnan(part) else part for part in (interval.low, interval.high))
    return {"label": group.label, "value": interval.value, "low": low, "high": high}


def _unit(summary: Summary, column: tuple[str, str]) -> str:
    name, metric = column
    told = (run.results.get(name, {}).get("metrics", {}).get(metric) for group in summary.groups for run in group.runs)
    return next((str(one["unit"]) for one in told if one), "")


def _curves(summary: Summary) -> list[tuple[str, Markup]]:
    """Loss and every validation metric over steps, one line per run, one colour per group."""
    logs = [(group, number, run, metric_lines(run.cell.folder))
            for number, group in enumerate(summary.groups) for run in group.runs]  # fmt: skip
    logged = dict.fromkeys(name for *_, told in logs for line in told for name in line)
    names = ["loss", *(name for name in logged if name.startswith("valid_"))]
    found = []
    for name in names:
        drawn = []
        for group, number, run, told in logs:
            points = series(told, name)
            label = group.label if run is group.runs[0] else ""
            style = f"s{number % _COLOURS}"
            drawn.append(Series(label, smoothed(points) if name == "loss" else points, style, dots=name != "loss"))
        chart = lines(drawn, x_label="step", y_label=name.replace("_", " "), from_zero=name != "loss")
        found.append((name.replace("_", " "), chart))
    return [(name, chart) for name, chart in found if chart]


def _values(summary: Summary) -> list[dict[str, Any]]:
    """Every finished run with its own values."""
    return [
        {
            "name": run.cell.name,
            "values": [
                "-" if value is None else f"{value:.2f}"
                for name, metric in summary.columns
                for value in [run.results.get(name, {}).get("metrics", {}).get(metric, {}).get("value")]
            ],
            "time": tables.duration(run.outcome["train_seconds"]) if "train_seconds" in run.outcome else "-",
            "folder": run.cell.folder.name,
        }
        for group in summary.groups
        for run in group.runs
    ]


def _descriptions(summary: Summary) -> list[str]:
    told = (
        f"{metric.upper()}: {one['description']}."
        for group in summary.groups
        for run in group.runs
        for result in run.results.values()
        for metric, one in result["metrics"].items()
    )
    return list(dict.fromkeys(told))


def _tail(folder: Path) -> str:
    return _text(folder / "log.txt")[-_LOG_TAIL:]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
