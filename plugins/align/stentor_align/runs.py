"""Policies out of runs: the task that a run trained, or that a tuning run tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.policy import Policy
from stentor.interfaces.task import Task
from stentor.model import lora
from stentor.train import parts, run, weights
from stentor.train.assembly import assemble

Structure = tuple[dict[str, Any], dict[str, Any]]
"""Sections of a configuration, ``task`` and its roles, and the state of tokenizers that `assemble` takes back."""


def structure_of(name: str) -> Structure:
    """How the policy of run `name` is built; reads no weights.

    Raises:
        StentorError: when there is no such run.
    """
    folder = parts.folder_of(name)
    recipe, _ = run.chosen(folder)
    state = run.state_of(folder)
    if "policy" in state:
        return dict(state["policy"]["config"]), dict(state["policy"]["state"])
    return {"task": dict(recipe.config["task"]), **{role: dict(one) for role, one in recipe.sections.items()}}, state


def built(structure: Structure, name: str) -> Any:
    """The policy of a structure, with weights as they come.

    Raises:
        StentorError: when the task does not answer prompts with tokens.
    """
    config, state = structure
    task = assemble(config, state=state)
    if not isinstance(task, Policy):
        told = f"task '{config['task']['name']}' of the run '{name}' does not answer prompts with tokens"
        raise StentorError(f"{told}, so there is nothing to prefer.", path="task.run", value=name)
    return task


def trained(name: str) -> tuple[Task, dict[str, str]]:
    """The policy of run `name` with the weights that it came to, LoRA merged, and where they are from.

    Raises:
        StentorError: when there is no such run.
    """
    folder = parts.folder_of(name)
    _, task = run.load(folder)
    policy: Task = getattr(task, "policy", task)
    merge_lora(policy)
    digests = weights.digests(policy)
    step = run.chosen(folder)[1].step
    return policy, {"name": name, "source": f"run {name} at step {step}", "sha256": weights.combined(digests)}


def merge_lora(model: nn.Module) -> None:
    """Add LoRA updates to the weights of every backbone in `model`."""
    for module in model.modules():
        if isinstance(module, Backbone):
            lora.merge(module)


def same_tokens(one: Any, other: Any, name: str) -> None:
    """Refuse a policy `other`, of run `name`, by whose ids other things are meant than by those of `one`.

    Raises:
        StentorError: when vocabularies or tokenizers differ.
    """
    if one.vocabulary.state() != other.vocabulary.state() or _tokenizers(one) != _tokenizers(other):
        sizes = f"{one.vocabulary.size} ids here, {other.vocabulary.size} there"
        told = f"the run '{name}' has another vocabulary ({sizes}): its log-probabilities would be of other texts."
        raise StentorError(told, path="task.reference_run", value=name)


def _tokenizers(policy: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = policy.state()
    return found
