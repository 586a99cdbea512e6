"""Begin a run with the weights of another: fine-tuning, further stages, further heads on a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.train import weights

if TYPE_CHECKING:
    from stentor.interfaces.task import Task


@dataclass(frozen=True)
class Parent:
    """The run that another begins with.

    Attributes:
        folder: of the run.
        step: of the checkpoint that is taken: the best one where its recipe keeps it, else the newest.
        state: what its task gave: tokenizers and vocabularies.
        tensors: its weights by name.
    """

    folder: Path
    step: int
    state: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def provenance(self, taken: Mapping[str, Tensor]) -> dict[str, Any]:
        """What the run records of where it began: the folder, the step, one hash of all that was taken."""
        found = {name: weights.digest(tensor) for name, tensor in taken.items()}
        return {"run": str(self.folder), "step": self.step, "tensors": len(taken), "sha256": weights.combined(found)}


def initialise(task: Task, parent: Parent) -> tuple[set[str], dict[str, Any]]:
    """Copy the weights of `parent` into the tensors of `task` that have the same name; tables that grow keep old rows.

    The task is told what the parent did not have (`Task.initialised`): it may set that itself, else it stays as built.

    Returns:
        Names of the tensors whose values have changed, and the provenance.

    Raises:
        StentorError: when they have nothing in common, a shape differs, or the parent has LoRA weights that find no
            place.
    """
    own, before = weights.tensors(task), weights.digests(task)
    taken = {name: tensor for name, tensor in parent.tensors.items() if name in own}
    if not taken:
        raise StentorError(f"the run '{parent.folder}' shares no tensor with this recipe's model.",
                           path="train.initialise")  # fmt: skip
    homeless = [name for name in parent.tensors if name not in own and ".lora_" in name]
    if homeless:
        told = (
            f"the run '{parent.folder}' has LoRA weights, e.g. '{homeless[0]}', and this recipe has no place for them"
        )
        raise StentorError(f"{told}; give train.lora the same rank and layers.", path="train.initialise")
    growing = set(task.growing())
    with torch.no_grad():
        for name, tensor in taken.items():
            target = own[name][: len(tensor)] if name in growing else own[name]
            if target.shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)} in the run '{parent.folder}', {tuple(own[name].shape)} here"
                raise StentorError(f"the shape of '{name}' is {shapes}.", path="train.initialise")
            target.copy_(tensor)
    task.initialised(set(own) - set(taken))
    after = weights.digests(task)
    return {name for name, digest in after.items() if before[name] != digest}, parent.provenance(taken)


def exchange(task: Task, pattern: str, other: Parent) -> None:
    """Put the weights of `other` in the place of all tensors of a trained `task` that match the glob `pattern`.

    Raises:
        StentorError: when none matches, one of them is not in the other run or has another shape there, the other run
            has further ones that match (more layers, LoRA), or the runs have different tokenizers, so that what is
            exchanged would mean other tokens by the same ids.
    """
    names = [name for name in weights.tensors(task) if fnmatchcase(name, pattern)]
    if not names:
        raise StentorError("it matches no tensor of the run.", path="--swap", value=pattern)
    if task.state() != other.state:
        raise StentorError(f"the run '{other.folder}' has another tokenizer.", path="--swap", value=pattern)
    own = weights.tensors(task)
    for name in names:
        if name not in other.tensors or other.tensors[name].shape != own[name].shape:
            told = f"the run '{other.folder}' has no tensor '{name}' of shape {tuple(own[name].shape)}."
            raise StentorError(told, path="--swap", value=pattern)
    homeless = next((name for name in other.tensors if name not in own and fnmatchcase(name, pattern)), None)
    if homeless:
        told = f"the run '{other.folder}' has a tensor '{homeless}', for which there is no place here."
        raise StentorError(told, path="--swap", value=pattern)
    with torch.no_grad():
        for name in names:
            own[name].copy_(other.tensors[name])
