"""What a run says, to be heard: its own audio, prompt and output of utterances side by side, and what judges heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stentor.evaluate.alignment import align
from stentor.evaluate.scoring import shown
from stentor.interfaces.normaliser import Normaliser
from stentor.plugins import registry
from stentor.report.clips import Budget, Clip, clip

_EXAMPLES = 6
_LARGEST_SHARE = 100


def speech(results: Sequence[Mapping[str, Any]], folder: Path, budget: Budget) -> list[dict[str, Any]]:
    """The sets in which the run spoke, each with its worst utterances; `folder` is the run's."""
    return [_set(result, folder / "evaluation", budget) for result in results if spoken(result)]


def spoken(result: Mapping[str, Any]) -> bool:
    """Whether an evaluated set has audio that the model made."""
    return any("output_audio" in row for row in result["utterances"])


def _set(result: Mapping[str, Any], folder: Path, budget: Budget) -> dict[str, Any]:
    rows = [row for row in result["utterances"] if "unscored" not in row]
    normaliser: Normaliser = registry().build("normaliser", result.get("normaliser", "none"))
    return {
        "set": result["set"],
        "examples": [_example(row, result, folder, normaliser, budget) for row in _chosen(rows, result)],
        "normaliser": result.get("normaliser", "none"),
    }


def _chosen(rows: Sequence[dict[str, Any]], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The worst by the first metric, failures first; where nothing was scored, the first ones."""
    first = next(iter(result["metrics"].items()), None)
    if first is None:
        return list(rows[:_EXAMPLES])
    name, metric = first
    return shown(rows, name, _EXAMPLES, lower=metric.get("lower_is_better", True))


def _example(
    row: Mapping[str, Any], result: Mapping[str, Any], folder: Path, normaliser: Normaliser, budget: Budget
) -> dict[str, Any]:
    panels = _panels(row, folder, budget)
    longest = max((panel["clip"].seconds for panel in panels), default=0.0) or 1.0
    for panel in panels:
        panel["share"] = round(_LARGEST_SHARE * panel["clip"].seconds / longest, 1)
    return {
        "id": row["id"],
        "speaker": row["speaker"],
        "text": row.get("asked", {}).get("marked", row["reference"]),
        "asked": _asked(row.get("asked", {})),
        "failure": row.get("failure", ""),
        "synthetic": row.get("synthetic", False),
        "scores": _scores(row["counts"], result["metrics"]) if row.get("counts") else [],
        "judges": _judges(row, normaliser),
        "panels": panels,
    }


def _panels(row: Mapping[str, Any], folder: Path, budget: Budget) -> list[dict[str, Any]]:
    found = []
    if row.get("audio"):
        found.append({"label": "Own audio", "clip": clip(row, budget), "told": _lines(row.get("truth", {}))})
    if "prompt" in row:
        told = {**row["prompt"], "duration": row["prompt"].get("duration") or 30.0}
        found.append({"label": "Prompt", "clip": clip(told, budget), "told": []})
    if "output_audio" in row:
        told = {"audio": str(folder / row["output_audio"]), "duration": row["output_seconds"]}
        found.append({"label": "Output", "clip": clip(told, budget), "told": _lines(row)})
    else:
        found.append({"label": "Output", "clip": Clip(reason=row.get("failure", "nothing was said")), "told": []})
    return found


def _lines(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(judge, what it heard)."""
    return list(told.get("notes", {}).get("heard", {}).items())


def _judges(row: Mapping[str, Any], normaliser: Normaliser) -> list[dict[str, Any]]:
    words = normaliser(row["reference"]).split()
    return [{"judge": judge, "steps": align(words, text.split())} for judge, text in _lines(row)]


def _scores(counts: Mapping[str, Sequence[float]], metrics: Mapping[str, Any]) -> list[str]:
    told = []
    for name, (errors, units) in counts.items():
        unit = metrics.get(name, {}).get("unit", "")
        if units and unit == "%" and float(errors).is_integer() and float(units).is_integer():
            told.append(f"{name} {errors:g} of {units:g}")
        elif units:
            factor = 100 if unit == "%" else 1
            told.append(f"{name} {factor * errors / units:.2f} {unit}".strip())
    return told


def _asked(told: Mapping[str, Any]) -> str:
    style = told.get("style") or {}
    parts = [f"{name} {value:+g}" if isinstance(value, int | float) and not isinstance(value, bool) else name
             for name, value in style.items() if value] if isinstance(style, Mapping) else [str(style)]  # fmt: skip
    return ", ".join([*parts, *([str(told["instruction"])] if told.get("instruction") else [])])
