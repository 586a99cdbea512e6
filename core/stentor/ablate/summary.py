"""What the cells of an ablation tell: means over seeds, intervals, tests against the baseline, costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stentor.ablate import cell as cells
from stentor.ablate.plan import Cell, Plan
from stentor.evaluate import significance
from stentor.evaluate.significance import Comparison, Interval

Result = Mapping[str, Any]


@dataclass
class Run:
    """A finished cell: its outcome and its evaluated sets."""

    cell: Cell
    outcome: dict[str, Any]
    results: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Score:
    """One metric of one group on one set.

    Attributes:
        interval: mean over the seeds with Student's t interval; for one seed, the bootstrap over utterances.
        values: (seed, value) of each run.
        utterances: against the baseline, paired by utterance, counts summed over seeds; None for the baseline itself.
        seeds: against the baseline, paired by seed; None for the baseline or fewer than two common seeds.
        adjusted: Holm's p for the test by utterance, over all groups of this set and metric.
    """

    interval: Interval
    values: tuple[tuple[str, float], ...]
    utterances: Comparison | None = None
    seeds: Comparison | None = None
    adjusted: float = math.nan


@dataclass
class Group:
    """Cells that differ only in the seed.

    Attributes:
        label: their choice.
        runs: those that are done.
        scores: (set, metric) -> score.
        costs: parameters, time and memory.
    """

    label: str
    runs: list[Run]
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)


@dataclass
class Summary:
    """An ablation: its groups in order, what failed, which (set, metric) pairs there are, the level of intervals."""

    plan: Plan
    groups: list[Group]
    failed: list[tuple[Cell, str]]
    columns: list[tuple[str, str]]
    confidence: float = 0.95


def summarise(plan: Plan) -> Summary:
    """Read every cell and compare the groups with the baseline."""
    groups = [Group(label, [run for cell in members if (run := _read(cell))]) for label, members in plan.groups.items()]
    failed = [(cell, _error(cell)) for cell in plan.cells if not cells.finished(cell.folder)]
    done = [run for group in groups for run in group.runs]
    columns = list(dict.fromkeys((name, metric) for run in done for name, told in run.results.items()
                                 for metric in told["metrics"]))  # fmt: skip
    baseline = next(group for group in groups if group.label == plan.baseline)
    for group in groups:
        group.costs = _costs(group.runs)
        for column in columns:
            score = _score(group, baseline, *column)
            if score is not None:
                group.scores[column] = score
    for column in columns:
        _adjust(groups, column)
    levels = (
        told["confidence"] for run in done for result in run.results.values() for told in result["metrics"].values()
    )
    return Summary(plan, groups, failed, columns, next(levels, 0.95))


def _read(cell: Cell) -> Run | None:
    outcome = cells.read(cell.folder / cells.OUTCOME)
    if outcome.get("status") != "done":
        return None
    results = [cells.read(path) for path in sorted((cell.folder / "evaluation").glob("*.json"))]
    return Run(cell, outcome, {told["set"]: told for told in results if "set" in told})


def _error(cell: Cell) -> str:
    outcome = cells.read(cell.folder / cells.OUTCOME)
    return str(outcome.get("error") or {"stopped": "it was stopped"}.get(outcome.get("status", ""), "it has not run"))


def _score(group: Group, baseline: Group, name: str, metric: str) -> Score | None:
    found = [(run.cell.seed, told) for run in group.runs if (told := _metric(run, name, metric))]
    if not found:
        return None
    told, values = found[0][1], tuple((seed, one["value"]) for seed, one in found)
    if len(values) > 1:
        interval = significance.over_seeds([value for _, value in values], confidence=told["confidence"])
    else:
        interval = Interval(told["value"], told["low"], told["high"])
    if group is baseline:
        return Score(interval, values)
    pairs = _common_seeds(baseline.runs, group.runs, name, metric)
    return Score(interval, values, _by_utterance(pairs, name, metric), _by_seed(pairs, name, metric))


def _by_utterance(pairs: Sequence[tuple[Run, Run]], name: str, metric: str) -> Comparison | None:
    """Paired over the utterances; the counts of an utterance are summed over the seeds."""
    first, second = (_counts([pair[side] for pair in pairs], name, metric) for side in (0, 1))
    shared = [key for key in first if key in second]
    if not shared:
        return None
    told = pairs[0][0].results[name]["metrics"][metric]
    found = significance.compare(
        [first[key] for key in shared],
        [second[key] for key in shared],
        resamples=told["resamples"],
        confidence=told["confidence"],
    )
    factor = 100.0 if told["unit"] == "%" else 1.0
    return Comparison(found.difference * factor, found.low * factor, found.high * factor, found.p)


def _by_seed(pairs: Sequence[tuple[Run, Run]], name: str, metric: str) -> Comparison | None:
    if len(pairs) < 2:
        return None
    told = [[pair[side].results[name]["metrics"][metric] for pair in pairs] for side in (0, 1)]
    first, second = ([one["value"] for one in side] for side in told)
    return significance.compare_seeds(first, second, confidence=told[0][0]["confidence"])


def _common_seeds(first: Sequence[Run], second: Sequence[Run], name: str, metric: str) -> list[tuple[Run, Run]]:
    others = {run.cell.seed: run for run in second if _metric(run, name, metric)}
    return [(run, others[run.cell.seed]) for run in first if _metric(run, name, metric) and run.cell.seed in others]


def _metric(run: Run, name: str, metric: str) -> dict[str, Any] | None:
    """A run's metric on a set, where it has a value."""
    told = run.results.get(name, {}).get("metrics", {}).get(metric)
    return told if told and told["value"] is not None else None


def _counts(runs: Sequence[Run], name: str, metric: str) -> dict[str, tuple[float, float]]:
    """Utterance -> (errors, units), summed over `runs`; only utterances that all of them have scored."""
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        for row in run.results[name]["utterances"]:
            if metric in row.get("counts", {}):
                found.setdefault(row["id"], []).append(tuple(row["counts"][metric]))
    whole = {key: pairs for key, pairs in found.items() if len(pairs) == len(runs)}
    return {key: (sum(e for e, _ in pairs), sum(u for _, u in pairs)) for key, pairs in whole.items()}


def _adjust(groups: Sequence[Group], column: tuple[str, str]) -> None:
    tested = [group for group in groups if column in group.scores and group.scores[column].utterances]
    raw = [one.p for group in tested if (one := group.scores[column].utterances)]
    for group, p in zip(tested, significance.holm(raw), strict=True):
        old = group.scores[column]
        group.scores[column] = Score(old.interval, old.values, old.utterances, old.seeds, p)


def _costs(runs: Sequence[Run]) -> dict[str, float]:
    """Parameters (the same for all seeds), mean training time (s), highest peak memory (MB), mean real-time factor."""
    if not runs:
        return {}
    sizes = runs[0].outcome.get("parameters", {})
    found = {f"parameters_{name}": float(count) for name, count in sizes.items()}
    for name, join in (("train_seconds", statistics.fmean), ("train_memory_mb", max)):
        values = [float(run.outcome[name]) for run in runs if name in run.outcome]
        found |= {name: float(join(values))} if values else {}
    factors = [told["rtf"] for run in runs for told in run.results.values() if told.get("rtf") is not None]
    return found | ({"rtf": statistics.fmean(factors)} if factors else {})
