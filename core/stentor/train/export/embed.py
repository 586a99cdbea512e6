"""Pretrained weights inside an export: of every source the tensors that the task has, in the Hub's layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from stentor.errors import StentorError
from stentor.model import weights as pretrained
from stentor.model.hub_folder import SAFE, asks_for_code
from stentor.train import run, weights
from stentor.train.export import runs

if TYPE_CHECKING:
    from stentor.interfaces.task import Task
    from stentor.interfaces.weights import Checkpoint


def write(part: Path, source: Path, task: Task) -> None:
    """Write every pretrained source of the run `source` into its export `part`.

    Of each only the tensors that the task has as they were read, if the export can be loaded with these: a whole
    Whisper is four times its encoder. Else the whole of each: an encoder that was trained is read before it is changed.

    Raises:
        StentorError: when a source has no name, or is not to be had any more.
    """
    used = set(weights.digests(task).values())
    found = _sources(source)
    _write(part, found, used)
    try:
        run.load(part)
    except StentorError:
        shutil.rmtree(part / run.EMBEDDED)
        _write(part, found, None)


def _sources(source: Path) -> dict[str, Checkpoint]:
    components = json.loads((source / "provenance.json").read_text(encoding="utf-8"))["components"]
    others = {name for _, _, name in runs.named(run.chosen(source)[0])}
    with pretrained.beside(source / run.EMBEDDED):
        wanted = sorted(_names(components) - others)
        return {name: pretrained.resolve(name, download=False).checkpoint for name in wanted}


def _names(components: dict[str, Any]) -> set[str]:
    """What the components' weights are called; the run that a run began with is none of them."""
    found = {role: part for role, part in components.items() if "run" not in part}
    for role, part in found.items():
        if "name" not in part:
            raise StentorError(f"the weights of '{role}' ({part.get('source')}) have no name to embed them under.")
    return {part["name"] for part in found.values()}


def _write(part: Path, sources: Mapping[str, Checkpoint], used: set[str] | None) -> None:
    """The tensors whose digest is in `used`; None: all."""
    for name, found in sources.items():
        config = {key: value for key, value in found.json("config.json").items() if not asks_for_code(key)}
        if not config:
            raise StentorError(f"the weights of {found.describe()} have no config.json and cannot be embedded.")
        place = part / run.EMBEDDED / pretrained.embedded_name(name)
        place.mkdir(parents=True)
        tensors = found.state_dict()
        kept = {key: tensor for key, tensor in tensors.items() if used is None or weights.digest(tensor) in used}
        save_file({key: tensor.contiguous().clone() for key, tensor in kept.items()}, str(place / SAFE))
        (place / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
