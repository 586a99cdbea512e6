"""Runs that were made rather than trained: weights merged or taken out of others, in a folder like any run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stentor.config import Recipe
from stentor.errors import StentorError
from stentor.train import randomness, run, weights
from stentor.train.assembly import assemble
from stentor.train.initialise import Parent


def write(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Any], tensors: Mapping[str, Tensor], lineage: Any
) -> None:
    """Write a run of given weights.

    Args:
        folder: of the new run; must not hold one.
        config: of a run with such a task, its own LoRA and parent left aside; sections that it lacks are defaults.
        state: what `Task.state` gave: tokenizers and vocabularies.
        tensors: by name, all that the task has.
        lineage: JSON-ready, how they came about; ``provenance.json`` has it under ``made``.

    Raises:
        StentorError: when the folder holds a run, or tensors are missing or do not fit.
    """
    if (folder / "config.yaml").exists():
        raise StentorError("it holds a run already.", path=str(folder))
    train = {**config.get("train", {}), "initialise": "", "lora": {}}
    recipe = Recipe.from_dict({**config, "train": train})
    randomness.seed_all(recipe.seed)
    task = assemble(recipe.config, state=state)
    missing = sorted(set(weights.tensors(task)) - set(tensors))
    if missing:
        raise StentorError(f"{len(missing)} tensors of the model are missing, e.g. '{missing[0]}'.", path=str(folder))
    inventory, provenance = run.prepare(task, recipe.settings("train"), Parent(folder, 0, state, tensors))
    told = {name: one for name, one in provenance.items() if name != "initialise"} | {"made": lineage}
    run.write_folder(folder, recipe, task, inventory, told, data={})
