"""Writes the export of a run: the run folder's layout with one checkpoint, no optimiser state, and a model card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.data.atomic import writing
from stentor.errors import StentorError
from stentor.train import checkpoint, run, weights
from stentor.train.export import backbone as backbones
from stentor.train.export import card, embed, runs

if TYPE_CHECKING:
    from stentor.interfaces.task import Task
    from stentor.train.checkpoint import Checkpoint

_KEPT = ("config.yaml", "task.json", "provenance.json", "environment.json", "data.json")
BACKBONE = "backbone"


def export(source: str | Path, output: str | Path, *, embedded: bool = False, backbone: bool = False,
           licence: str = "other") -> Path:  # fmt: skip
    """Write what a run has come to into a folder that is used exactly as the run.

    It holds the checkpoint that `stentor.train.load` takes. The folder is written whole or not at all, and what is
    loaded from it has been compared with the run, tensor by tensor. What it takes from other runs goes inside.

    Args:
        source: the run.
        output: a folder that is not there yet, or empty.
        embedded: put the pretrained tensors that the run took from a source inside; else they are looked for there
            again, and compared by hash.
        backbone: add the causal language model as a folder that `transformers` loads.
        licence: of the weights, for the model card: an identifier of the Hub, e.g. ``apache-2.0``.

    Raises:
        StentorError: when there is no such run, the folder is in use, or there is no such backbone.
    """
    source, output = Path(source), Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise StentorError("there is something here already; an export goes into a new folder.", path=str(output))
    _, found = run.chosen(source)
    _, task = run.load(source)
    part = output.absolute().with_name(f".{output.absolute().name}.{os.getpid()}.part")
    with writing(output):
        try:
            part.mkdir(parents=True)
            others = _write(part, source, found, task, embedded=embedded, backbone=backbone)
            card.write(part, source, found, output.absolute().name, licence, others=others)
            _take_place(part, output.absolute())
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return output


def _write(
    part: Path, source: Path, found: Checkpoint, task: Task, *, embedded: bool, backbone: bool
) -> list[dict[str, str]]:
    """All but the card; gives what was taken from other runs."""
    for name in _KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, part / name)
    if (source / run.FIXED).is_file():
        shutil.copyfile(source / run.FIXED, part / run.FIXED)
    _write_checkpoint(part / "checkpoints", found)
    _write_tokenizers(part, json.loads((source / "task.json").read_text(encoding="utf-8")))
    if embedded:
        embed.write(part, source, task)
    elif (source / run.EMBEDDED).is_dir():
        shutil.copytree(source / run.EMBEDDED, part / run.EMBEDDED)
    others = runs.write(part, source)
    _compare(task, part)
    if backbone:
        backbones.write(task, part / BACKBONE, tokenizer=part / "tokenizer.json")
    return others


def _write_checkpoint(folder: Path, found: Checkpoint) -> None:
    """The weights alone, with an index that `checkpoint.read` takes."""
    place = checkpoint.place(folder, found.step)
    place.mkdir(parents=True)
    shutil.copyfile(found.weights, place / checkpoint.WEIGHTS)
    index = {**found.index, "sha256": {checkpoint.WEIGHTS: found.index["sha256"][checkpoint.WEIGHTS]}}
    (place / checkpoint.INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _write_tokenizers(part: Path, state: Mapping[str, Any]) -> None:
    """``tokenizer.json`` as other tools read it, where a text tokenizer's state is one."""
    for role, content in state.items():
        model = content.get("model") if isinstance(content, dict) else None
        if isinstance(model, str) and model.startswith("{"):
            name = "tokenizer.json" if role == "text" else f"tokenizer-{role}.json"
            (part / name).write_text(model, encoding="utf-8")


def _compare(task: Task, part: Path) -> None:
    _, again = run.load(part)
    theirs, ours = weights.digests(again), weights.digests(task)
    wrong = [name for name, digest in ours.items() if theirs.get(name) != digest]
    if wrong or len(theirs) != len(ours):
        raise StentorError(f"what is loaded from the export differs from the run in {len(wrong)} tensors, e.g. "
                           f"'{(wrong or ['?'])[0]}'.", path=str(part))  # fmt: skip


def _take_place(part: Path, output: Path) -> None:
    if output.exists():
        output.rmdir()
    os.replace(part, output)
