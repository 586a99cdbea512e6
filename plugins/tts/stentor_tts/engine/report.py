"""The page of a synthesised corpus: what became of the takes, and some of them to hear."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stentor.data.prepare import AUDIO, SUMMARY
from stentor.report import page
from stentor.report.clips import Budget, clip
from stentor_tts.engine.funnel import Funnel

REPORT = "report.html"


def write(folder: Path, funnel: Funnel, top: int) -> Path:
    """Write ``report.html`` with up to `top` kept takes and as many rejected ones.

    Raises:
        StentorError: when the file cannot be written.
    """
    summary = json.loads((folder / SUMMARY).read_text("utf-8"))
    engine, budget = summary["engine"], Budget()
    lost = [(name, told) for name, told in _in_turn(funnel) if told["audio"]][:top]
    kept = [("", told) for told in funnel.examples.get("", [])[:top]]
    facts = {key: summary[key] for key in ("sources", "settings", "judges", "versions")}
    return page.write(
        folder / REPORT,
        "stentor_tts.engine:engine.html.jinja",
        cards=_cards(summary),
        stages=engine["stages"],
        voices=engine["voices"],
        texts=engine["texts_rejected"],
        groups={"Rejected": [_shown(*one, folder, budget) for one in lost],
                "Kept": [_shown(*one, folder, budget) for one in kept]},
        facts=page.flat(facts),
    )  # fmt: skip


def _in_turn(funnel: Funnel) -> list[tuple[str, Mapping[str, Any]]]:
    """Examples of the stages in turn, so that each is heard."""
    rows = [(place, name, told) for name, found in funnel.examples.items() if name for place, told in enumerate(found)]
    return [(name, told) for _, name, told in sorted(rows, key=lambda row: row[0])]


def _shown(stage: str, told: Mapping[str, Any], folder: Path, budget: Budget) -> dict[str, Any]:
    found = clip({"audio": str(folder / AUDIO / told["audio"]), "duration": 30.0}, budget)
    measures = ", ".join(f"{name} {value:g}" for name, value in told["measures"].items())
    return {"id": told["id"], "text": told["text"], "voice": told["voice"], "stage": stage, "clip": found,
            "reason": told.get("reason", ""), "measures": measures}  # fmt: skip


def _cards(summary: dict[str, Any]) -> list[dict[str, str]]:
    engine, splits = summary["engine"], summary["splits"]
    share = engine["kept"] / engine["takes"] if engine["takes"] else 0.0
    hours = sum(split["hours"] for split in splits.values())
    return [
        {"title": "Kept", "value": str(engine["kept"]), "unit": "takes", "note": f"{share:.1%} of {engine['takes']}"},
        {"title": "Synthetic speech", "value": f"{60 * hours:.1f}", "unit": "min",
         "note": ", ".join(f"{name} {split['utterances']}" for name, split in splits.items())},
        {"title": "Voices", "value": str(len(engine["voices"])), "unit": "", "note": "teachers"},
    ]  # fmt: skip
