"""Reads a run folder; what is missing or damaged is noted and the report goes on without it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stentor.errors import StentorError

_SIGNS = ("config.yaml", "metrics.jsonl", "evaluation")


@dataclass
class RunData:
    """What is known of a run.

    Attributes:
        folder: of the run.
        config: the resolved recipe as plain data.
        config_text: the same as it was written.
        environment: plugins, versions, git state, machine.
        data: manifest fingerprints.
        provenance: of pretrained weights.
        metrics: logged lines, by step.
        results: evaluated sets.
        notes: what is not there.
    """

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The recipe's name, or the folder's."""
        return str(self.config.get("name") or (self.results[0]["recipe"] if self.results else "") or self.folder.name)


def gather(folder: Path) -> RunData:
    """Everything in a run folder.

    Raises:
        StentorError: when there is no such folder, or nothing of a run in it.
    """
    if not folder.is_dir():
        raise StentorError("there is no run folder here.", path=str(folder))
    if not any((folder / name).exists() for name in _SIGNS):
        raise StentorError(f"is no run folder: it has none of {', '.join(_SIGNS)}.", path=str(folder))
    run = RunData(folder)
    run.config_text = _text(run, "config.yaml", "the resolved configuration")
    run.config = _mapping(run, yaml.safe_load, run.config_text, "config.yaml")
    for name in ("environment", "data", "provenance"):
        text = _text(run, f"{name}.json", name)
        setattr(run, name, _mapping(run, json.loads, text, f"{name}.json"))
    run.metrics = _lines(_text(run, "metrics.jsonl", "learning curves"))
    if not (run.config_text or run.metrics):
        run.notes = ["This folder holds no training run, only scores."]
    run.results = _results(run)
    for result in run.results:
        run.provenance = {**result.get("provenance", {}), **run.provenance}
    return run


def _results(run: RunData) -> list[dict[str, Any]]:
    found = []
    for path in sorted((run.folder / "evaluation").glob("*.json")):
        told = _mapping(run, json.loads, path.read_text("utf-8", errors="replace"), f"evaluation/{path.name}")
        if {"set", "metrics", "utterances"} <= told.keys():
            found.append(told)
    there = {result["set"] for result in found}
    wanted = (run.config.get("evaluate") or {}).get("sets") or {}
    for name, path in wanted.items():
        if name not in there:
            absent = "" if Path(path).is_file() else f": its manifest {path} is not there"
            run.notes.append(f"Set {name} has not been scored{absent}.")
    if not found:
        run.notes.append("Nothing has been scored yet; score it with: stentor evaluate " + str(run.folder))
    order = {name: place for place, name in enumerate(wanted)}
    return sorted(found, key=lambda result: (order.get(result["set"], len(order)), result["set"]))


def metric_lines(folder: Path) -> list[dict[str, Any]]:
    """The logged lines of a run, by step; empty when there are none."""
    return _lines(_text(RunData(folder), "metrics.jsonl", ""))


def _lines(text: str) -> list[dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # the line that was being written when the run stopped
            continue
        if isinstance(told, dict) and isinstance(told.get("step"), int | float):
            found.setdefault(told["step"], {}).update(told)
    return [found[step] for step in sorted(found)]


def _text(run: RunData, name: str, what: str) -> str:
    try:
        return (run.folder / name).read_text("utf-8", errors="replace")
    except OSError:
        run.notes.append(f"There is no {name} ({what}).")
        return ""


def _mapping(run: RunData, parse: Any, text: str, name: str) -> dict[str, Any]:
    try:
        told = parse(text) if text else {}
    except (ValueError, yaml.YAMLError):
        run.notes.append(f"{name} is damaged and was left out.")
        return {}
    return told if isinstance(told, dict) else {}
