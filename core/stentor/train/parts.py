"""What one run has trained, as a part of another: the tensors of a role, by the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from stentor.errors import StentorError
from stentor.model import weights as sources
from stentor.train import run, weights


def folder_of(name: str) -> Path:
    """The folder of run `name`; inside of an export the copy that it embeds."""
    beside = sources.embedded_folder(name)
    return beside if beside is not None else Path(name)


def section_of(name: str, role: str) -> dict[str, Any]:
    """The section (``{name, **configured}``) that run `name` trained for `role`.

    Raises:
        StentorError: when there is no such run or it has no such role.
    """
    recipe, _ = run.chosen(folder_of(name))
    if role not in recipe.config:
        raise StentorError(f"the run '{name}' has no {role}.", path=role, value=name)
    return dict(recipe.config[role])


def tensors_of(name: str, role: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The trained tensors of `role` in run `name`, by their names inside of the role, and their provenance.

    Raises:
        StentorError: when there is no such run or it has no such role.
    """
    folder = folder_of(name)
    _, found = run.chosen(folder)
    saved = load_file(str(found.weights))
    if (folder / run.FIXED).is_file():
        saved |= load_file(str(folder / run.FIXED))
    prefix = f"{role}."
    mine = {key.removeprefix(prefix): tensor for key, tensor in saved.items() if key.startswith(prefix)}
    if not mine:
        raise StentorError(f"the run '{name}' has no trained {role}.", path=role, value=name)
    told = {key: weights.digest(tensor) for key, tensor in mine.items()}
    return mine, {"name": name, "source": f"run {name} at step {found.step}", "sha256": weights.combined(told)}
