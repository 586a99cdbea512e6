"""What benchmarks of tuning on speech have in common: the program's commands in this process, paired differences."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stentor.evaluate import significance

Counts = Mapping[str, tuple[float, float]]


def stentor(*words: str) -> None:
    """One command of the program; what it prints goes to stderr."""
    from stentor.cli.dispatch import main

    print("$ stentor", *words, file=sys.stderr, flush=True)
    with contextlib.redirect_stdout(sys.stderr):
        code = main(list(words))
    if code:
        raise SystemExit(code)


def train(run: Path, recipe: str, *changes: str) -> Path:
    """Train unless it was done, going on with what was cut off."""
    if (run / "config.yaml").exists():
        stentor("train", "--resume", str(run))
    else:
        stentor("train", recipe, *changes, "train.tracking=[]", "--run", str(run))
    return run


def logged(run: Path, name: str) -> list[float]:
    """Every value of a number that a run logged in training."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line[name] for line in map(json.loads, lines) if name in line]


def interval(counts: Sequence[tuple[float, float]]) -> list[float]:
    """Errors over units with the bounds of the 95 % bootstrap interval over the utterances, in percent."""
    found = significance.bootstrap(counts)
    return [round(100 * value, 2) for value in (found.value, found.low, found.high)]


def falls(first: Counts, second: Counts) -> list[float]:
    """By how much the second is higher than the first, with the bounds of the paired 95 % interval, in points."""
    names = sorted(set(first) & set(second))
    found = significance.compare([first[name] for name in names], [second[name] for name in names])
    return [round(100 * value, 2) for value in (found.difference, found.low, found.high)]
