"""Merging: one set of weights out of several runs of the same model, with the lineage recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.train import made
from stentor_align.mergeable import Method, Tensors, alike, check, free, member


def merge(
    folder: Path,
    names: Sequence[str],
    method: Method = "linear",
    *,
    shares: Sequence[float] | None = None,
    base: str = "",
    scale: float | None = None,
    density: float | None = None,
    way: float | None = None,
) -> None:
    """Write a run whose weights are merged from those of other runs.

    Args:
        folder: of the new run; must be empty, or not there.
        names: the runs; with ``linear`` a single one is taken as it is.
        method: see the functions of these names.
        shares: of each run, not for ``slerp``; default: equal.
        base: run that the others began as, for ``task-arithmetic`` and ``ties``.
        scale: of what is added to the base; default: 1.
        density: for ``ties``, the share of each difference that is kept; default: 0.2.
        way: for ``slerp``, how far to go from the first to the second; default: 0.5.

    Raises:
        StentorError: when the method does not take an option, something is in the folder, or runs are missing, named
            twice, or differ in model, tokenizer or vocabulary.
    """
    check(method, names, {"weights": shares, "base": base, "scale": scale, "density": density, "way": way})
    free(folder)
    shares = [1.0] * len(names) if shares is None else list(shares)
    scale = 1.0 if scale is None else scale
    density = 0.2 if density is None else density
    way = 0.5 if way is None else way
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
    parents: list[dict[str, Any]] = [dict(one.told) for one in members]
    if method != "slerp":  # which goes by its way
        parents = [{**one, "weight": share} for one, share in zip(parents, shares, strict=True)]
    lineage = {"run": list(names), "method": method, "parents": parents, **told}
    if origin is not None:
        lineage["base"] = origin.told
    made.write(folder, members[0].config, members[0].state, merged, lineage)


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
