"""Merging: one set of weights out of several runs of the same model, with the lineage recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.train import made, parts, run, weights
from stentor_align import runs

Method = Literal["linear", "task-arithmetic", "ties", "slerp"]
METHODS: tuple[Method, ...] = ("linear", "task-arithmetic", "ties", "slerp")
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Member:
    """A run that takes part: its policy, LoRA merged.

    Attributes:
        told: its name, where its weights are from, and their hash.
        config: a whole configuration of a run with such a model.
        state: of tokenizers and vocabularies.
        tensors: its weights by name.
    """

    told: dict[str, str]
    config: dict[str, Any]
    state: dict[str, Any]
    tensors: Tensors


def member(name: str) -> Member:
    """The policy of a run, or of a tuning run the policy that it tuned.

    Raises:
        StentorError: when there is no such run.
    """
    recipe, _ = run.chosen(parts.folder_of(name))
    sections, state = runs.structure_of(name)
    policy, told = runs.trained(name)
    around = {key: recipe.config[key] for key in ("name", "seed", "data", "train", "evaluate")}
    return Member(told, {**around, **sections}, state, weights.tensors(policy))


def merge(
    folder: Path,
    names: Sequence[str],
    method: Method = "linear",
    *,
    shares: Sequence[float] | None = None,
    base: str = "",
    scale: float = 1.0,
    density: float = 0.2,
    way: float = 0.5,
) -> None:
    """Write a run whose weights are merged from those of other runs.

    Args:
        folder: of the new run; must not hold one.
        names: the runs; a single one is taken as it is.
        method: see the functions of these names.
        shares: of each run; default: equal.
        base: run that the others began as, for ``task-arithmetic`` and ``ties``.
        scale: of what is added to the base.
        density: for ``ties``, the share of each difference that is kept.
        way: for ``slerp``, how far to go from the first to the second.

    Raises:
        StentorError: when runs are missing or differ in model or tokenizer, or the method does not take them.
    """
    shares = [1.0] * len(names) if shares is None else list(shares)
    if len(shares) != len(names) or not all(map(math.isfinite, shares)) or not sum(shares):
        raise StentorError(f"there are {len(names)} runs and {len(shares)} weights: finite ones, whose sum is not 0.",
                           path="--weights")  # fmt: skip
    if bool(base) != (method in ("task-arithmetic", "ties")):
        raise StentorError(
            f"the method '{method}' {'takes no' if base else 'needs a'} base.", path="--base", value=base
        )
    members = [member(name) for name in names]
    origin = member(base) if base else None
    alike([*members, *([origin] if origin else [])])
    tensors = [one.tensors for one in members]
    told: dict[str, Any] = {"scale": scale} if base else {}
    if method == "linear":
        merged = linear(tensors, shares)
    elif method == "slerp":
        merged, told = slerp(tensors, way), {"way": way}
    elif origin is not None and method == "ties":
        merged, told = ties(origin.tensors, tensors, shares, scale=scale, density=density), {**told, "density": density}
    elif origin is not None:
        merged = task_arithmetic(origin.tensors, tensors, shares, scale=scale)
    parents = [{**one.told, "weight": share} for one, share in zip(members, shares, strict=True)]
    lineage = {"run": list(names), "method": method, "parents": parents, **told}
    if origin is not None:
        lineage["base"] = origin.told
    made.write(folder, members[0].config, members[0].state, merged, lineage)


def alike(members: Sequence[Member]) -> None:
    """Refuse runs that cannot be merged.

    Raises:
        StentorError: when tokenizers, tensors or shapes differ.
    """
    first = members[0]
    shapes = {name: tensor.shape for name, tensor in first.tensors.items()}
    for other in members[1:]:
        pair = f"the runs '{first.told['name']}' and '{other.told['name']}'"
        if other.state != first.state:
            raise StentorError(f"{pair} have different tokenizers.")
        theirs = {name: tensor.shape for name, tensor in other.tensors.items()}
        odd = sorted(name for name in shapes.keys() | theirs.keys() if shapes.get(name) != theirs.get(name))
        if odd:
            raise StentorError(f"{pair} have different models: {len(odd)} tensors differ in name or shape, e.g. "
                               f"'{odd[0]}'.")  # fmt: skip


def linear(members: Sequence[Tensors], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of each tensor (Wortsman et al. 2022, arXiv 2203.05482).

    Step-Audio-AQAA takes ``(5 SFT-1 + 5 SFT-2 + 1 DPO) / 11`` (arXiv 2506.08967).
    """
    total = sum(shares)
    return _each(members, lambda some: sum(one * (share / total) for one, share in zip(some, shares, strict=True)))


def task_arithmetic(
    base: Tensors, members: Sequence[Tensors], shares: Sequence[float], *, scale: float = 1.0
) -> dict[str, Tensor]:
    """The base, and what each run has learnt since, added up (Ilharco et al. 2022, arXiv 2212.04089)."""

    def added(some: list[Tensor]) -> Tensor:
        origin, *rest = some
        return origin + scale * sum(share * (one - origin) for one, share in zip(rest, shares, strict=True))

    return _each([base, *members], added)


def ties(
    base: Tensors, members: Sequence[Tensors], shares: Sequence[float], *, scale: float = 1.0, density: float = 0.2
) -> dict[str, Tensor]:
    """Trim, elect sign, merge (Yadav et al. 2023, arXiv 2306.01708).

    Of what each run has learnt the `density` of greatest magnitude is kept, over all its tensors; for each parameter
    the sign with the greater sum is elected, and what agrees with it is averaged.

    Raises:
        StentorError: when the density is not in (0, 1].
    """
    if not 0 < density <= 1:
        raise StentorError("it must be more than 0 and at most 1.", path="--density", value=density)
    bounds = [_bound([one[name].double() - base[name].double() for name in base if _real(base[name])], density)
              for one in members]  # fmt: skip

    def elected(some: list[Tensor]) -> Tensor:
        origin, *rest = some
        learnt = [(one - origin).where((one - origin).abs() >= bound, 0) * share
                  for one, bound, share in zip(rest, bounds, shares, strict=True)]  # fmt: skip
        stacked = torch.stack(learnt)
        agrees = (stacked.sign() == stacked.sum(0).sign()) & (stacked != 0)
        counts = (agrees * torch.tensor(shares, dtype=stacked.dtype).view(-1, *[1] * origin.ndim)).sum(0)
        return origin + scale * (stacked * agrees).sum(0) / counts.where(counts != 0, 1)

    return _each([base, *members], elected)


def slerp(members: Sequence[Tensors], way: float = 0.5) -> dict[str, Tensor]:
    """Between two runs along the great circle of each tensor (Shoemake 1985); where both point the same way, straight.

    Raises:
        StentorError: when there are not two runs, or the way is not in [0, 1].
    """
    if len(members) != 2 or not 0 <= way <= 1:
        raise StentorError("slerp goes from one run to one other, on a way between 0 and 1.", path="--way", value=way)

    def between(some: list[Tensor]) -> Tensor:
        one, other = some
        norms = one.norm() * other.norm()
        cosine = (one * other).sum() / norms if norms else torch.ones(())
        angle = cosine.clamp(-1, 1).acos()
        if angle.sin().abs() < 1e-6:
            return (1 - way) * one + way * other
        return (((1 - way) * angle).sin() * one + (way * angle).sin() * other) / angle.sin()

    return _each(members, between)


def _each(members: Sequence[Tensors], work: Callable[[list[Tensor]], Any]) -> dict[str, Tensor]:
    """`work` on each tensor of all members, in float64; what is equal in all of them stays bit-identical.

    Raises:
        StentorError: when something differs that is no number on a scale.
    """
    found = {}
    for name, first in members[0].items():
        some = [one[name].detach() for one in members]
        if all(torch.equal(one, first) for one in some[1:]):
            found[name] = first.detach()
        elif not _real(first):
            raise StentorError(f"'{name}' is no real number and differs between the runs, so it cannot be merged.")
        else:
            found[name] = work([one.double() for one in some]).to(first.dtype)
    return found


def _real(tensor: Tensor) -> bool:
    return tensor.is_floating_point()


def _bound(learnt: Sequence[Tensor], density: float) -> float:
    """The least magnitude among the `density` greatest of all values."""
    every = torch.cat([one.abs().flatten() for one in learnt])
    kept = max(1, round(density * len(every)))
    return float(every.kthvalue(len(every) - kept + 1).values)
