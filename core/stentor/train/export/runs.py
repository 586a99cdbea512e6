"""What other runs have trained, inside an export: of each the configuration and the tensors of the part."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from stentor.config import Recipe
from stentor.data.atomic import replacing
from stentor.errors import StentorError
from stentor.model.weights import beside, embedded_name
from stentor.train import checkpoint, parts, run
from stentor.train.assembly import class_of


def named(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """(role, kind, run) of every component that takes its weights from another run (`stentor.train.parts`)."""
    roles: Mapping[str, str] = class_of("task", recipe.config["task"], path="task").roles
    for role, kind in roles.items():
        section = recipe.config.get(role)
        if isinstance(section, Mapping) and section.get("run"):
            yield role, kind, str(section["run"])


def write(part: Path, source: Path) -> list[dict[str, str]]:
    """Copy into the export `part` what its components take from other runs; where these are, is told by `source`.

    Returns:
        Role, name, source and hash of each.

    Raises:
        StentorError: when a run is not there any more, or what is read from the copy differs.
    """
    told = []
    recipe, _ = run.chosen(source)
    for role, kind, name in named(recipe):
        with beside(source / run.EMBEDDED):
            folder = parts.folder_of(name)
            if not (folder / "config.yaml").is_file():
                raise StentorError(f"the {role} of the run '{source}' was trained by another run, which is not there.",
                                   path=f"{role}.run", value=name)  # fmt: skip
            _, provenance = parts.tensors_of(name, kind)
            target = part / run.EMBEDDED / embedded_name(name)
            if not target.exists():
                _copy(folder, target, kind)
        with beside(part / run.EMBEDDED):
            _, again = parts.tensors_of(name, kind)
        if again["sha256"] != provenance["sha256"]:
            raise StentorError(f"the copy of the {role} differs from that of the run '{name}'.", path=str(target))
        told.append({"role": role, **provenance})
    return told


def _copy(folder: Path, target: Path, kind: str) -> None:
    """Configuration and the tensors of one role, laid out as a run with one checkpoint."""
    _, found = run.chosen(folder)
    place = checkpoint.place(target / "checkpoints", found.step)
    place.mkdir(parents=True)
    shutil.copyfile(folder / "config.yaml", target / "config.yaml")
    _save(_of(kind, found.weights), place / checkpoint.WEIGHTS)
    if (folder / run.FIXED).is_file():
        _save(_of(kind, folder / run.FIXED), target / run.FIXED)
    digest = hashlib.sha256((place / checkpoint.WEIGHTS).read_bytes()).hexdigest()
    index = {**found.index, "sha256": {checkpoint.WEIGHTS: digest}}
    (place / checkpoint.INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _of(kind: str, path: Path) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in load_file(str(path)).items() if name.startswith(f"{kind}.")}


def _save(tensors: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as temporary:
        save_file(dict(tensors), str(temporary))
