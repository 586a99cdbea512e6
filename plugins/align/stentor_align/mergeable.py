"""What may be merged: options that a method takes, runs that are alike, a folder that is free."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from stentor.errors import StentorError
from stentor.train import parts, run, weights
from stentor_align import runs

Method = Literal["linear", "task-arithmetic", "ties", "slerp"]
TAKES: dict[Method, tuple[str, ...]] = {
    "linear": ("weights",),
    "task-arithmetic": ("weights", "base", "scale"),
    "ties": ("weights", "base", "scale", "density"),
    "slerp": ("way",),
}
"""The options of each method."""
METHODS: tuple[Method, ...] = tuple(TAKES)
Tensors = Mapping[str, Tensor]
_AROUND = ("name", "seed", "data", "train", "evaluate")


@dataclass(frozen=True, eq=False)
class Member:
    """A run that takes part: its policy, LoRA merged.

    Attributes:
        told: its name, where its weights are from, and their hash.
        config: a whole configuration of a run with such a model.
        state: of tokenizers and vocabularies.
        vocabulary: state of the one that its ids are of.
        tensors: its weights by name.
    """

    told: dict[str, str]
    config: dict[str, Any]
    state: dict[str, Any]
    vocabulary: Any
    tensors: Tensors


def member(name: str) -> Member:
    """The policy of a run, or of a tuning run the policy that it tuned.

    Raises:
        StentorError: when there is no such run.
    """
    recipe, _ = run.chosen(parts.folder_of(name))
    sections, state = runs.structure_of(name)
    policy, told = runs.trained(name)
    vocabulary: Any = getattr(policy, "vocabulary", None)
    around = {key: recipe.config[key] for key in _AROUND}
    return Member(told, {**around, **sections}, state, vocabulary and vocabulary.state(), weights.tensors(policy))


def check(method: Method, names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse options that the method does not take, lacks or cannot use, and runs that are too many or few, or twice.

    Args:
        method: one of `METHODS`.
        names: the runs.
        options: by the names in `TAKES`; None and the empty text: not given.

    Raises:
        StentorError: with the first thing that is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None and value != ""}
    for name, value in given.items():
        if name not in TAKES[method]:
            theirs = " and ".join(f"'{other}'" for other, takes in TAKES.items() if name in takes)
            told = f"the method '{method}' takes no {name}; only {theirs} would heed it."
            raise StentorError(told, path=f"--{name}", value=value, suggestion=None)
    if "base" in TAKES[method] and "base" not in given:
        raise StentorError(f"the method '{method}' needs a base, the run that the others began as.", path="--base")
    if method == "slerp" and len(names) != 2:
        raise StentorError(f"slerp goes from one run to one other; {len(names)} are named.", path="RUN")
    _distinct(names, str(given.get("base", "")))
    if "weights" in given:
        _weights(method, given["weights"], len(names))
    _ranges(given)


def _distinct(names: Sequence[str], base: str) -> None:
    seen: dict[Path, str] = {}
    for name in names:
        folder = parts.folder_of(name).resolve()
        if folder in seen:
            told = f"the run '{name}' is named twice; --weights makes it count for more."
            raise StentorError(told, path="RUN", value=name, suggestion=None)
        seen[folder] = name
    if base and parts.folder_of(base).resolve() in seen:
        told = f"the base '{base}' is one of the runs, and has learnt nothing since; name it once."
        raise StentorError(told, path="--base", value=base, suggestion=None)


def _weights(method: Method, shares: Sequence[float], count: int) -> None:
    least = {"linear": sum(shares) != 0, "ties": min(shares, default=-1) >= 0 and any(shares)}
    wanted = {"linear": "their sum not 0", "ties": "none of them below 0, and not all 0"}
    told = ""
    if len(shares) != count:
        told = f"there are {count} runs and {len(shares)} weights; each run has one."
    elif not all(map(math.isfinite, shares)) or not least.get(method, any(shares)):
        told = f"weights of '{method}' must be finite, {wanted.get(method, 'and not all 0')}."
    elif method == "linear" and count == 1:
        told = "a single run is taken as it is; a weight needs others to be weighed against."
    if told:
        raise StentorError(told, path="--weights", value=list(shares))


def _ranges(given: Mapping[str, Any]) -> None:
    right = {
        "scale": (math.isfinite(given.get("scale", 1.0)), "a finite number"),
        "density": (0 < given.get("density", 1.0) <= 1, "more than 0 and at most 1"),
        "way": (0 <= given.get("way", 0.0) <= 1, "between 0 and 1"),
    }
    for name, (fine, wanted) in right.items():
        if not fine:
            raise StentorError(f"it must be {wanted}, not {given[name]:g}.", path=f"--{name}", value=given[name])


def free(folder: Path) -> None:
    """Refuse a folder for a new run that something is in.

    Raises:
        StentorError: when it holds anything, or is a file.
    """
    if (folder / "config.yaml").exists():
        raise StentorError("it holds a run already; name a new folder.", path=str(folder))
    if folder.is_dir() and any(folder.iterdir()):
        raise StentorError("it holds files already; name a new folder.", path=str(folder))
    if folder.exists() and not folder.is_dir():
        raise StentorError("it is a file; name a new folder.", path=str(folder))


def alike(members: Sequence[Member]) -> None:
    """Refuse runs that cannot be merged; warn of those whose models were told other options of the same shape.

    Raises:
        StentorError: when tasks, tokenizers, vocabularies, tensors or shapes differ.
    """
    first = members[0]
    for other in members[1:]:
        pair = f"the runs '{first.told['name']}' and '{other.told['name']}'"
        for told in (_tasks(first, other), _ids(first, other), _shapes(first.tensors, other.tensors)):
            if told:
                raise StentorError(f"{pair} have different {told}, so they cannot be merged.")
        odd = _options(first, other)
        if odd:
            warnings.warn(f"{pair} differ in {', '.join(odd)}; the first one's are kept", stacklevel=3)


def _tasks(one: Member, other: Member) -> str:
    names = [member.config["task"]["name"] for member in (one, other)]
    return "" if names[0] == names[1] else f"tasks, '{names[0]}' and '{names[1]}'"


def _ids(one: Member, other: Member) -> str:
    every = one.state.keys() | other.state.keys()
    names = sorted(name for name in every if one.state.get(name) != other.state.get(name))
    if names:
        return f"tokenizers (their '{names[0]}')"
    return "" if one.vocabulary == other.vocabulary else "vocabularies"


def _shapes(one: Tensors, other: Tensors) -> str:
    odd = sorted(name for name in one.keys() | other.keys() if _shape(one, name) != _shape(other, name))
    if not odd:
        return ""
    shapes = " and ".join(_shape(tensors, odd[0]) for tensors in (one, other))
    return f"models ({len(odd)} tensors differ in name or shape, e.g. '{odd[0]}': {shapes})"


def _shape(tensors: Tensors, name: str) -> str:
    return str(list(tensors[name].shape)) if name in tensors else "none"


def _options(one: Member, other: Member) -> list[str]:
    """Options of components that are not the same; what the task was told concerns training and decoding."""
    roles = sorted((one.config.keys() | other.config.keys()) - {*_AROUND, "task"})
    sections = [(role, one.config.get(role) or {}, other.config.get(role) or {}) for role in roles]
    return [
        f"{role}.{key} ({mine.get(key)} and {theirs.get(key)})"
        for role, mine, theirs in sections
        for key in sorted(mine.keys() | theirs.keys())
        if mine.get(key) != theirs.get(key)
    ]
