"""The result of an ablation as JSON and as Markdown, for ``docs/results``."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from stentor.ablate.plan import Plan
from stentor.ablate.summary import Group, Score, Summary
from stentor.evaluate.significance import Comparison


def as_json(summary: Summary) -> dict[str, Any]:
    """Everything in the table as plain data; what is not defined is null."""
    return {
        "recipe": summary.plan.recipe,
        "baseline": summary.plan.baseline,
        "command": command(summary.plan),
        "groups": [_group(group) for group in summary.groups],
        "failed": [{"cell": cell.name, "error": error} for cell, error in summary.failed],
    }


def as_markdown(summary: Summary) -> str:
    """Tables with one row per group, the command that made them, and what the numbers mean."""
    lines = [f"# Ablation of {summary.plan.recipe}", "", "```", command(summary.plan), "```", ""]
    for grid in grids(summary):
        lines += [f"## {grid.title}", "", _row(grid.head), _row(["---"] * len(grid.head)), *map(_row, grid.rows), ""]
    lines += meaning(summary)
    if summary.failed:
        lines += ["", "Cells without a result:", ""]
        lines += [f"- {cell.name}: {error.splitlines()[0]}" for cell, error in summary.failed]
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table as text; each row belongs to the group of the same place."""

    title: str
    head: list[str]
    rows: list[list[str]]


def grids(summary: Summary) -> list[Grid]:
    """One table for each metric on each evaluated set, and one of costs."""
    return [*(_scores(summary, column) for column in summary.columns), _costs(summary)]


def _scores(summary: Summary, column: tuple[str, str]) -> Grid:
    name, metric = column
    head = ["choice", "seeds", metric.upper(), "difference", "p"]
    rows = [
        [_label(summary, group), str(len(group.runs)), *_cells(group.scores.get(column))] for group in summary.groups
    ]
    return Grid(f"{metric.upper()} on {name}", head, rows)


def _costs(summary: Summary) -> Grid:
    names = [name for name in _COSTS if any(name in group.costs for group in summary.groups)]
    rows = [
        [
            _label(summary, group),
            *(_COSTS[name][1](group.costs[name]) if name in group.costs else "-" for name in names),
        ]
        for group in summary.groups
    ]
    return Grid("Costs", ["choice", *(_COSTS[name][0] for name in names)], rows)


def _label(summary: Summary, group: Group) -> str:
    return group.label + (" (baseline)" if group.label == summary.plan.baseline else "")


def meaning(summary: Summary) -> list[str]:
    """How to read the table."""
    level = f"{summary.confidence:.0%}"
    return [
        f"Values are means over the seeds with a {level} Student's t interval; for one seed, a {level} bootstrap "
        "interval over the utterances.",
        "",
        f"Differences are to the baseline ({summary.plan.baseline}), paired by utterance, with a paired bootstrap "
        "interval; p is approximate randomisation, adjusted for several groups after Holm. Over two or more common "
        "seeds, the paired t-test's p stands in brackets.",
    ]


def command(plan: Plan) -> str:
    """The words that run the ablation again."""
    axes: dict[str, dict[str, None]] = {}
    for cell in plan.cells:
        for word in cell.overrides:
            axis, _, value = word.partition("=")
            axes.setdefault(axis, {})[value] = None
    words = [f"{axis}={','.join(values)}" for axis, values in axes.items()]
    chosen = ["--baseline", plan.baseline.replace(", ", ",")] if "=" in plan.baseline else []
    return shlex.join(["stentor", "ablate", plan.recipe, *words, *chosen])


def count(value: float) -> str:
    """``1.82M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """``4 min 12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


_COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters_trainable": ("trainable", count),
    "parameters_total": ("parameters", count),
    "train_seconds": ("training", duration),
    "train_memory_mb": ("peak memory", "{:.0f} MB".format),
    "rtf": ("RTF", "{:.3f}".format),
}


def chance(p: float) -> str:
    """A p-value as it is written."""
    return "-" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def bounds(low: float | None, high: float | None) -> str:
    """`` [low, high]``, or nothing."""
    return "" if low is None or high is None or math.isnan(low) else f" [{low:.2f}, {high:.2f}]"


def _cells(score: Score | None) -> list[str]:
    if score is None:
        return ["-", "-", "-"]
    value = f"{score.interval.value:.2f}{bounds(score.interval.low, score.interval.high)}"
    by = score.utterances
    if by is None:
        return [value, "-", "-"]
    p = chance(score.adjusted) + (f" ({chance(score.seeds.p)})" if score.seeds else "")
    return [value, f"{by.difference:+.2f}{bounds(by.low, by.high)}", p]


def _group(group: Group) -> dict[str, Any]:
    scores = [
        {
            "set": name,
            "metric": metric,
            "mean": score.interval.value,
            "low": _plain(score.interval.low),
            "high": _plain(score.interval.high),
            "values": dict(score.values),
            "p_holm": _plain(score.adjusted),
            "against_baseline_by_utterance": _comparison(score.utterances),
            "against_baseline_by_seed": _comparison(score.seeds),
        }
        for (name, metric), score in group.scores.items()
    ]
    return {
        "choice": group.label,
        "seeds": [run.cell.seed for run in group.runs],
        "scores": scores,
        "costs": group.costs,
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    return {key: _plain(value) for key, value in dataclasses.asdict(found).items()} if found else None


def _plain(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
