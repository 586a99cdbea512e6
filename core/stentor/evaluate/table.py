"""Results as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def ranged(metric: Mapping[str, Any]) -> str:
    """``3.1 [2.4, 3.9] %``; a dash where the value is not defined."""
    if metric["value"] is None:
        return "-"
    unit = f" {metric['unit']}" if metric.get("unit") else ""
    if metric["low"] is None:
        return f"{metric['value']:.2f}{unit}"
    return f"{metric['value']:.2f} [{metric['low']:.2f}, {metric['high']:.2f}]{unit}"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """One line per set: sizes, metrics with their intervals, real-time factor, peak memory."""
    names = list(dict.fromkeys(name for result in results for name in result["metrics"]))
    rows = [["set", "utterances", "hours", *(name.upper() for name in names), "RTF", "memory"]]
    for result in results:
        metrics = [ranged(result["metrics"][name]) if name in result["metrics"] else "-" for name in names]
        rtf = "-" if result["rtf"] is None else f"{result['rtf']:.3f}"
        size = str(result["count"]) + (f" (+{result['unscored']} not scored)" if result["unscored"] else "")
        rows.append(
            [result["set"], size, f"{result['hours']:.2f}", *metrics, rtf, f"{result['peak_memory_mb']:.0f} MB"]
        )
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, a rule under the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """One sentence per target that the recipe set beforehand."""
    return [
        f"{result['set']}: {name.upper()} {metric['value']:.2f} {metric['unit']}, target {metric['target']:g}"
        + (f" = {metric['target_means']}" if "target_means" in metric else "")
        + (": met" if metric["met"] else ": missed")
        for name, metric in result["metrics"].items()
        if "target" in metric and metric["value"] is not None
    ]


def truths(result: Mapping[str, Any]) -> list[str]:
    """What the set's own audio scores, where that was asked for."""
    own = {name: metric for name, metric in result.get("ground_truth", {}).items() if metric["value"] is not None}
    told = ", ".join(f"{name.upper()} {ranged(metric)}" for name, metric in own.items())
    return [f"{result['set']}: ground truth {told}"] if told else []


def mistakes(result: Mapping[str, Any], most: int = 5) -> list[str]:
    """The words that go wrong most often, one line for each kind of error."""
    if not result["tables"]:
        return []
    found, totals = result["tables"]["words"], result["tables"]["words"]["totals"]
    kinds = {
        "substitution": [f"{said} \N{RIGHTWARDS ARROW} {written} ({n})" for said, written, n in found["substitutions"]],
        "deletion": [f"{word} ({n})" for word, n in found["deletions"]],
        "insertion": [f"{word} ({n})" for word, n in found["insertions"]],
    }
    told = {"substitution": "substituted", "deletion": "lost", "insertion": "added"}
    return [
        f"{result['set']}: {totals[kind]} words {told[kind]}, most often {', '.join(listed[:most])}"
        for kind, listed in kinds.items()
        if listed
    ]


def footnotes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the numbers mean: normaliser, resamples, threads."""
    told = dict.fromkeys(
        f"{name.upper()}: {metric['description']}." for result in results for name, metric in result["metrics"].items()
    )
    first = results[0]
    device, threads = first["machine"]["device"], first["machine"]["threads"]
    plural = "" if threads == 1 else "s"
    joined = any("blocks" in metric for result in results for metric in result["metrics"].values())
    units = "utterances, or the blocks that they were joined into" if joined else "utterances"
    sure = [
        f"[low, high]: {some['confidence']:.0%} interval, bootstrap over {units}, {some['resamples']} resamples."
        for some in list(first["metrics"].values())[:1]
    ]
    return [
        *told,
        *sure,
        f"RTF: {first['rtf_means']}; {threads} thread{plural}, device {device}.",
        "Memory: peak resident memory of the process (MB).",
    ]
