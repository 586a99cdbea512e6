"""The grid: which cells there are, how they group, and which group is the baseline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stentor.config import expand
from stentor.errors import StentorError

SEED = "seed"
"""The axis that repeats a choice rather than being one."""


@dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Attributes:
        overrides: everything that is changed in the recipe, for `stentor.config.compose`.
        choice: axis -> value, without the seed; cells with the same choice are repetitions.
        seed: as it was written; empty when the grid does not vary it.
        folder: of the run.
    """

    overrides: tuple[str, ...]
    choice: tuple[tuple[str, str], ...]
    seed: str
    folder: Path

    @property
    def label(self) -> str:
        """The choice in words, the same for all seeds."""
        return ", ".join(f"{axis}={value}" for axis, value in self.choice) or "as written"

    @property
    def name(self) -> str:
        """Label and seed."""
        return f"{self.label}, seed={self.seed}" if self.seed else self.label


@dataclass(frozen=True)
class Plan:
    """A recipe, its cells and the label of the baseline group."""

    recipe: str
    cells: tuple[Cell, ...]
    baseline: str
    folder: Path

    @property
    def groups(self) -> dict[str, list[Cell]]:
        """Label -> cells that differ only in the seed, in order of the grid."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.label, []).append(cell)
        return found


def make(recipe: str, words: Sequence[str], folder: Path, baseline: Mapping[str, str]) -> Plan:
    """Lay out the grid of ``key=a,b`` words.

    Args:
        recipe: name or path.
        words: overrides; those with several values are the axes, the others hold for all cells.
        folder: of the ablation; cells go to ``cells/`` in it.
        baseline: axis -> value that pick one group; empty: the first values.

    Raises:
        StentorError: when no word has several values, or the baseline picks no group or several.
    """
    combinations = expand(words)
    if len(combinations) < 2:
        raise StentorError("nothing varies; write several values for a key, e.g. adapter=stack,convolution seed=1,2,3.")
    varied = [index for index in range(len(words)) if len({cell[index] for cell in combinations}) > 1]
    cells = tuple(_cell(cell, varied, folder) for cell in combinations)
    return Plan(recipe, cells, _baseline(cells, baseline), folder)


def parse_baseline(words: Sequence[str]) -> dict[str, str]:
    """``key=a,other=b`` (or several such words) as a mapping.

    Raises:
        StentorError: for a part without ``=``.
    """
    parts = [part.strip() for word in words for part in word.split(",") if part.strip()]
    for part in parts:
        if "=" not in part:
            raise StentorError("the baseline is written key=value,other=value.", path="--baseline", value=part)
    return dict(tuple(part.split("=", 1)) for part in parts)  # type: ignore[misc]


def _cell(overrides: tuple[str, ...], varied: Sequence[int], folder: Path) -> Cell:
    chosen = [tuple(overrides[index].split("=", 1)) for index in varied]
    seed = next((value for axis, value in chosen if axis == SEED), "")
    choice = tuple((axis, value) for axis, value in chosen if axis != SEED)
    return Cell(overrides, choice, seed, folder / "cells" / _slug([overrides[index] for index in varied], overrides))


def _slug(varied: Sequence[str], overrides: Sequence[str]) -> str:
    """A readable folder name, and a digest of all overrides, as those that do not vary tell sweeps apart too."""
    readable = re.sub(r"[^A-Za-z0-9.=_-]+", "-", ",".join(varied)).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(chr(0).join(sorted(overrides)).encode()).hexdigest()[:6]}"


def _baseline(cells: Sequence[Cell], wanted: Mapping[str, str]) -> str:
    axes = [axis for axis, _ in cells[0].choice]
    for axis in wanted:
        if axis not in axes:
            raise StentorError("the grid has no such axis.", path="--baseline", value=axis, options=axes)
    chosen = wanted or dict(cells[0].choice)
    found = dict.fromkeys(cell.label for cell in cells if all(dict(cell.choice)[a] == v for a, v in chosen.items()))
    if len(found) != 1:
        told = f"it picks {len(found)} of the grid's groups, and must pick one."
        raise StentorError(told, path="--baseline", options=list(dict.fromkeys(cell.label for cell in cells)))
    return next(iter(found))
