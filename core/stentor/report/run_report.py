"""The report of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stentor.evaluate import breakdown
from stentor.evaluate.scoring import shown
from stentor.evaluate.table import footnotes, ranged
from stentor.evaluate.told import codebooks, latencies
from stentor.interfaces.normaliser import Normaliser
from stentor.plugins import registry
from stentor.report import page
from stentor.report.clips import Budget, clip
from stentor.report.curves import curves
from stentor.report.drafting import drafting
from stentor.report.gather import RunData, gather
from stentor.report.speech import speech, spoken

_EXAMPLES, _SPEAKERS, _MOST_ROWS = 6, 24, 12
_PIXELS_PER_SECOND = 90


def write(folder: Path, path: Path | None = None) -> Path:
    """Write the report of the run in `folder`, from whatever it holds by now.

    Returns:
        The file: ``report.html`` in the run folder unless `path` says otherwise.

    Raises:
        StentorError: when there is no such folder, or the file cannot be written.
    """
    run = gather(folder)
    budget = Budget()
    drawn, drafts = curves(run.metrics), drafting(run.results)
    sets = [_set(result, budget) for result in run.results if result["metrics"]]
    said, books, waits = speech(run.results, folder, budget), codebooks(run.results), latencies(run.results)
    return page.write(
        path or folder / "report.html",
        "report.html.jinja",
        run=run,
        headline=_headline(run),
        verdicts=[verdict for result in run.results for verdict in _verdicts(result)],
        sections=_sections(sets, curves=drawn, speech=said, drafting=drafts, statistics=books or waits),
        drafting=drafts,
        speech=said,
        codebooks=books,
        latencies=waits,
        curves=drawn,
        sets=sets,
        metric_bars=_metric_bars(run.results),
        confidence=_confidence(run.results),
        footnotes=footnotes(run.results) if run.results else [],
        commands=_commands(run),
        synthetic_note=_synthetic_note(run.results),
        provenance=page.flat(run.provenance),
        data=page.flat(run.data),
        environment=page.flat(run.environment),
    )


def _sections(sets: list[dict[str, Any]], **others: object) -> list[tuple[str, str]]:
    """Anchor and title of every section that has something to show."""
    there = {
        ("curves", "Curves"): others["curves"],
        ("sets", "Scores"): sets,
        ("speech", "Speech"): others["speech"],
        ("speakers", "Speakers"): sets,
        ("errors", "Words"): any(one["words"] for one in sets),
        ("utterances", "Utterances"): any(one["examples"] for one in sets),
        ("drafting", "Drafted tokens"): others["drafting"],
        ("statistics", "Codes and latency"): others["statistics"],
        ("about", "How it was made"): True,
    }
    return [section for section, shown in there.items() if shown]


def _headline(run: RunData) -> str:
    parts = [str(run.config["task"]["name"])] if isinstance(run.config.get("task"), dict) else []
    if run.metrics:
        last = run.metrics[-1]
        minutes = f", {last['elapsed'] / 60:.1f} minutes of training" if "elapsed" in last else ""
        parts.append(f"{int(last['step'])} steps{minutes}")
    parts += [f"seed {run.config['seed']}"] if "seed" in run.config else []
    machine = run.environment.get("machine") or (run.results[0].get("machine", {}) if run.results else {})
    parts += [f"{machine['processor']}, {machine['cores']} cores"] if "processor" in machine else []
    return " \N{MIDDLE DOT} ".join(parts)


def _verdicts(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One card per target; the first metric where there is none."""
    targeted = {name: metric for name, metric in result["metrics"].items() if "target" in metric}
    chosen = targeted or dict(list(result["metrics"].items())[:1])
    return [
        {"set": result["set"], "metric": name.upper(), "target": metric.get("target"), "met": metric.get("met"),
         "means": metric.get("target_means", ""), "synthetic": synthetic(result),
         **{key: metric[key] for key in ("value", "low", "high", "unit")}}
        for name, metric in chosen.items()
    ]  # fmt: skip


def synthetic(result: Mapping[str, Any]) -> str:
    """``synthetic`` or ``partly synthetic``, where utterances are marked so."""
    rows = result["utterances"]
    count = sum(bool(row.get("synthetic")) for row in rows)
    return "" if not count else "synthetic" if count == len(rows) else "partly synthetic"


def _synthetic_note(results: list[dict[str, Any]]) -> str:
    names = [result["set"] for result in results if synthetic(result)]
    if not names:
        return ""
    return f"The audio of {', '.join(names)} was made by speech synthesis: it is not recorded human speech."


def _metric_bars(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name in dict.fromkeys(name for result in results for name in result["metrics"]):
        bars = [
            bar
            for result in results
            if (metric := result["metrics"].get(name))
            for bar in (
                {"label": result["set"], "synthetic": synthetic(result), "target": metric.get("target"), **metric},
                _truth_bar(result, name),
            )
            if bar
        ]
        top = page.top_of([bar[key] for bar in bars for key in ("value", "high", "target")])
        low = min(bar[key] or 0.0 for bar in bars for key in ("value", "low"))
        found.append({"name": name, "title": name.upper(), "bars": bars, "low": low, "top": top,
                      "unit": bars[0]["unit"]})  # fmt: skip
    return found


def _truth_bar(result: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The score of the set's own audio, where it was measured."""
    own = result.get("ground_truth", {}).get(name)
    if own is None or own["value"] is None:
        return None
    return {"label": f"{result['set']}, its own audio", "synthetic": "", "target": None, **own}


def _set(result: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    metric, summary = next(iter(result["metrics"].items()))
    factor = 100.0 if summary["unit"] == "%" else 1.0
    rows = [row for row in result["utterances"] if metric in row.get("counts", {})]
    normaliser: Normaliser = registry().build("normaliser", result.get("normaliser", "none"))
    aligned = breakdown.alignments(rows, normaliser)
    speakers = breakdown.by_speaker(rows, metric, factor, aligned)
    durations = breakdown.by_duration(rows, metric, factor, aligned)
    return {
        "set": result["set"],
        "title": metric.upper(),
        "unit": summary["unit"],
        "synthetic": synthetic(result),
        "count": result["count"],
        "hours": f"{result['hours']:.2f}",
        "metrics": {name: ranged(one) for name, one in result["metrics"].items()},
        "rtf": "-" if result["rtf"] is None else f"{result['rtf']:.3f}",
        "memory": f"{result['peak_memory_mb']:.0f} MB",
        "troubles": _troubles(result),
        "speakers": speakers[:_SPEAKERS],
        "more_speakers": max(0, len(speakers) - _SPEAKERS),
        "speakers_top": page.top_of([one.high for one in speakers[:_SPEAKERS]]),
        "durations": durations,
        "durations_top": page.top_of([one.high for one in durations]),
        "normaliser": f"{result.get('normaliser', 'none')}: {normaliser.describe()}",
        "errors": breakdown.errors(aligned, _MOST_ROWS),
        "words": bool(aligned) or not rows,
        "heard_by": _first_judge(rows),
        "examples": []
        if spoken(result)
        else [_example(row, metric, normaliser, budget) for row in shown(rows, metric, _EXAMPLES)],
    }


def _first_judge(rows: Sequence[Mapping[str, Any]]) -> str:
    """Whose transcripts are the outputs of a run that speaks; empty for one that writes."""
    return next((judge for row in rows for judge in row.get("notes", {}).get("heard", {})), "")


def _troubles(result: Mapping[str, Any]) -> str:
    counted = {
        "utterances could not be scored (no audio or no transcript)": result.get("unscored", 0),
        "utterances failed in the model and count as empty outputs": result.get("failed", 0),
        "rows of the manifest were unusable": len(result.get("bad_rows", [])),
    }
    return "; ".join(f"{count} {what}" for what, count in counted.items() if count)


def _example(row: Mapping[str, Any], metric: str, normaliser: Normaliser, budget: Budget) -> dict[str, Any]:
    found, (errors, units) = clip(row, budget), row["counts"][metric]
    return {
        "id": row["id"],
        "speaker": row["speaker"],
        "seconds": f"{row['duration']:.2f}",
        "score": f"{metric.upper()} {errors:g} of {units:g}",
        "synthetic": row.get("synthetic", False),
        "failure": row.get("failure", ""),
        "reference": row["reference"],
        "steps": breakdown.words(row, normaliser),
        "clip": found,
        "tokens": _tokens(row, found.seconds),
        "width": round(min(found.seconds * _PIXELS_PER_SECOND, 2600)),
    }


def _tokens(row: Mapping[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Where each token stands under the spectrogram, in per cent of its width."""
    placed = [(text, start, min(end, seconds)) for text, start, end in row.get("alignment", []) if start < seconds]
    return [
        {
            "text": text.strip() or "\N{MIDDLE DOT}",
            "left": round(100 * start / seconds, 2),
            "width": round(100 * max(end - start, 0.01) / seconds, 2),
            "told": f"{text!r} {start:.2f}\N{EN DASH}{end:.2f} s",
        }
        for text, start, end in placed
    ]


def _commands(run: RunData) -> list[str]:
    folder = shlex.quote(str(run.folder))
    trained = run.environment.get("command")
    first = [shlex.join(trained)] if trained else []
    sets = " ".join(shlex.quote(f"{result['set']}={result['manifest']}") for result in run.results)
    score = f"stentor evaluate {folder} {sets}" if run.config else f"stentor evaluate --recogniser {run.name} {sets}"
    return [*first, *([score] if run.results else []), f"stentor report {folder}"]


def _confidence(results: list[dict[str, Any]]) -> str:
    levels = (metric["confidence"] for result in results for metric in result["metrics"].values())
    return f"{next(levels, 0.95):.0%}"
