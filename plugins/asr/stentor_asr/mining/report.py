"""The page for a labelling team: what was chosen, why, to hear and to see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.report import page
from stentor.report.clips import Budget, clip
from stentor_asr.mining.hearing import LONGEST
from stentor_asr.mining.mine import REPORT, SELECTED, SUMMARY, Mined
from stentor_asr.mining.selection import Judged

_UNSURE = 0.8
_MARGIN = 1.25


def write(mined: Mined, top: int) -> Path:
    """Write ``report.html`` with the first `top` of the selection.

    Raises:
        StentorError: when the file cannot be written.
    """
    summary = json.loads((mined.folder / SUMMARY).read_text("utf-8"))
    rows = manifest.load(mined.folder / SELECTED)[:top] if mined.chosen else []
    garbage = [one for one in mined.judged if one.flags]
    guarded = summary["settings"]["guard"]
    budget = Budget()
    return page.write(
        mined.folder / REPORT,
        "stentor_asr.mining:mining.html.jinja",
        headline=f"ranker {summary['ranker']} \N{MIDDLE DOT} recogniser {summary['run']}",
        cards=_cards(summary),
        clips=[_clip(row, _typical(mined.judged), budget) for row in rows],
        count=len(mined.chosen),
        compared=_compared(mined),
        garbage=_garbage(garbage),
        garbage_title="Left out" if guarded else "Not left out",
        garbage_note="Clips that nobody could transcribe are hard for the wrong reason: labelling them wastes hours."
        + ("" if guarded else " The guard was switched off."),
        facts=page.flat({key: value for key, value in summary.items() if value is not None}),
    )


def _cards(summary: dict[str, Any]) -> list[dict[str, str]]:
    chosen, pool, garbage = summary["selected"], summary["pool"], summary["garbage"]
    share = chosen["hours"] / pool["hours"] if pool["hours"] else 0.0
    return [
        {"title": "Selected", "value": f"{60 * chosen['hours']:.1f}", "unit": "min",
         "note": f"{chosen['utterances']} utterances of a budget of {60 * summary['settings']['hours']:.1f} min"},
        {"title": "Pool", "value": f"{60 * pool['hours']:.1f}", "unit": "min",
         "note": f"{pool['utterances']} utterances; {share:.0%} of it selected"},
        {"title": "Cannot be transcribed", "value": f"{60 * garbage['hours']:.1f}", "unit": "min",
         "note": f"{garbage['utterances']} utterances of the pool"},
        {"title": "Unusable", "value": str(pool["unusable"]), "unit": "clips",
         "note": f"unreadable, or longer than {LONGEST:g} s; see quarantine.jsonl"},
    ]  # fmt: skip


def _typical(judged: Sequence[Judged]) -> dict[str, float]:
    """Medians of the pool, to compare a clip with."""
    middle = len(judged) // 2
    return {name: sorted(getattr(one, name) for one in judged)[middle] for name in ("confidence", "entropy")}


def _clip(row: Utterance, typical: dict[str, float], budget: Budget) -> dict[str, Any]:
    told = row.custom["mining"]
    found = clip({"audio": row.audio, "start": row.start, "duration": row.duration}, budget)
    return {
        "id": row.id,
        "place": told["place"],
        "seconds": f"{row.duration:.2f}",
        "gain": f"{told['expected_gain']:.2f}",
        "confidence": f"{told['confidence']:.2f}",
        "entropy": f"{told['entropy']:.2f}",
        "drawn": told["ranker"] == "random",
        "flags": told["flags"],
        "hypothesis": told["hypothesis"],
        "why": _why(told, typical),
        "clip": found,
        "stretches": _stretches(told["attended"], found.seconds),
    }


def _why(told: dict[str, Any], typical: dict[str, float]) -> list[str]:
    reasons = []
    if told["ranker"] == "random":
        reasons.append(f"drawn at random; the ranker puts it at place {told['rank']} of the pool")
    if told["confidence"] < typical["confidence"] * _UNSURE:
        reasons.append(f"the recogniser is unsure: confidence {told['confidence']:.2f}, median of the pool "
                       f"{typical['confidence']:.2f}")  # fmt: skip
    if told["entropy"] > typical["entropy"] * _MARGIN:
        reasons.append(f"several readings compete: entropy {told['entropy']:.2f} nats, median of the pool "
                       f"{typical['entropy']:.2f}")  # fmt: skip
    if told["attended"]:
        places = ", ".join(f"{start:.1f}\N{EN DASH}{end:.1f} s ({share:.0%})" for start, end, share in told["attended"])
        reasons.append(f"attention lies at {places}")
    return reasons


def _stretches(attended: Sequence[Sequence[float]], seconds: float) -> list[dict[str, Any]]:
    if not seconds:
        return []
    return [
        {"left": round(100 * start / seconds, 2), "width": round(100 * (min(end, seconds) - start) / seconds, 2),
         "told": f"{start:.2f}\N{EN DASH}{end:.2f} s, {share:.0%} of the attention"}
        for start, end, share in attended
        if start < seconds
    ]  # fmt: skip


def _compared(mined: Mined) -> dict[str, Any]:
    groups = {"selected": [choice.judged for choice in mined.chosen], "pool": mined.judged}
    rows = []
    for label, members in groups.items():
        columns = zip(*map(_numbers, members), strict=True) if members else ()
        means = [sum(column) / len(members) for column in columns]
        rows.append({"label": label, "cells": [str(len(members)), *(f"{mean:.2f}" for mean in means)]})
    head = ["utterances", "expected gain", "confidence", "entropy (nats)", "length (s)", "level range (dB)"]
    return {"head": head, "rows": rows}


def _numbers(one: Judged) -> tuple[float, ...]:
    return one.hardness, one.confidence, one.entropy, one.seconds, one.quality["range"]


def _garbage(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    found: dict[str, list[Judged]] = {}
    for one in judged:
        for flag in one.flags:
            found.setdefault(flag, []).append(one)
    return [
        {"reason": reason, "count": len(members), "minutes": f"{sum(one.seconds for one in members) / 60:.1f}",
         "examples": ", ".join(one.id for one in members[:3])}
        for reason, members in sorted(found.items(), key=lambda pair: -len(pair[1]))
    ]  # fmt: skip
