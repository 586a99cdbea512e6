"""The model card of an export: what it was trained on, how well it does, what it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.table import ranged
from stentor.interfaces.task import Task
from stentor.model.weights import embedded_name
from stentor.report.gather import RunData, gather
from stentor.report.run_report import synthetic
from stentor.train import run
from stentor.train.assembly import class_of

if TYPE_CHECKING:
    from stentor.train.checkpoint import Checkpoint


def write(
    folder: Path,
    source: Path,
    found: Checkpoint,
    name: str,
    licence: str,
    *,
    others: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write ``README.md`` into an export.

    Args:
        folder: of the export.
        source: the run, which has the evaluated sets.
        found: the checkpoint that is exported.
        name: of the model.
        licence: of its weights.
        others: what it takes from other runs: role, name, source, sha256.
    """
    told = gather(source)
    training = [_manifest(split, entry) for split, entry in told.data.items()]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("stentor.train.export").joinpath("card.md.jinja").read_text("utf-8"))
    page = template.render(
        name=name,
        recipe=told.name,
        task=told.config["task"]["name"],
        step=found.step,
        licence=licence,
        languages=sorted({language for part in training for language in part["languages"]}),
        training=training,
        results=(results := _results(told)),
        metrics=list(dict.fromkeys(name for result in results for name in result["metrics"])),
        pretrained=_pretrained(told, folder / run.EMBEDDED, others),
        what=_what(told.config["task"]),
        versions={"stentor": told.environment.get("stentor", "?"), **told.environment.get("versions", {})},
        plugins=told.environment.get("plugins", []),
        git=told.environment.get("git"),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def _manifest(split: str, entry: dict[str, str]) -> dict[str, Any]:
    """What a manifest of the run holds, where it is still there as it was."""
    about: dict[str, Any] = {"split": split, **entry, "languages": [], "licences": [], "there": False}
    try:
        if manifest.fingerprint(entry["manifest"]) != entry["sha256"]:
            return about
        rows = [row for row in manifest.rows(entry["manifest"], check_audio=False) if isinstance(row, Utterance)]
    except StentorError:
        return about
    made = sum(bool(row.custom.get("synthetic")) for row in rows)
    return {
        **about,
        "there": True,
        "utterances": len(rows),
        "hours": sum(row.duration for row in rows) / 3600,
        "speakers": len({row.speaker for row in rows if row.speaker}),
        "synthetic": "" if not made else "synthetic speech" if made == len(rows) else "partly synthetic speech",
        "languages": sorted({row.language for row in rows if row.language}),
        "licences": sorted({str(row.custom["licence"]) for row in rows if row.custom.get("licence")}),
    }


def _results(told: RunData) -> list[dict[str, Any]]:
    return [
        {
            "set": result["set"],
            "utterances": result["count"],
            "synthetic": synthetic(result) or "-",
            "metrics": {name: ranged(metric) for name, metric in result["metrics"].items()},
            "normaliser": result["normaliser"],
        }
        for result in told.results
    ]


def _what(section: Mapping[str, Any]) -> str:
    """Whether it is a ``voice``, ``listens`` and writes, or makes audio of audio as a ``part`` of a voice."""
    task: type[Task] = class_of("task", section, path="task")
    if "reads" in task.capabilities:
        return "voice"
    return "listens" if task.predict is not Task.predict else "part"


def _pretrained(told: RunData, embedded: Path, others: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    found = []
    components = told.provenance.get("components", {})
    there = {part.get("name") for part in components.values()}
    apart = {other["role"]: other for other in others if other["name"] not in there}
    for role, part in {**components, **apart}.items():
        inside = "name" in part and (embedded / embedded_name(str(part["name"]))).is_dir()
        plain = {key: str(value) for key, value in part.items()}
        found.append({"role": role, "source": "", "sha256": "", **plain, "embedded": "yes" if inside else "no"})
    return found
