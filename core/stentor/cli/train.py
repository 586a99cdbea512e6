"""``stentor train RECIPE [k=v ...] [--run FOLDER] [-m]`` and ``stentor train --resume RUN``."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.config import Recipe

_FOLDER = "STENTOR_RUN_FOLDER"
"""Tells the processes that Lightning starts which folder the first one chose."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", help="a recipe that `stentor list recipes` shows, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. encoder=conformer train.lr=1e-3")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="run folder (default: runs/RECIPE-TIME)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was cut short")
    parser.add_argument("-m", "--multirun", action="store_true", help="train every combination: train.lr=1e-3,3e-4")


def run(arguments: argparse.Namespace) -> int:
    if arguments.resume:
        return _resume(arguments)
    if not arguments.recipe:
        raise StentorError("name a recipe to train, or a run to go on with: stentor train RECIPE | --resume RUN.")
    if arguments.multirun:
        return _sweep(arguments.recipe, arguments.overrides, arguments.run)
    from stentor.cli.validate import compose_all

    return _train(compose_all(arguments.recipe, [arguments.overrides])[0], arguments.run)


def _resume(arguments: argparse.Namespace) -> int:
    if arguments.recipe or arguments.run or arguments.multirun:
        raise StentorError("--resume takes its recipe and folder from the run; leave the rest away.")
    from stentor.train import resume

    print(f"going on with {arguments.resume}", flush=True)
    finished = resume(arguments.resume)
    return _told(arguments.resume, finished)


def _train(recipe: Recipe, folder: Path | None) -> int:
    from stentor.train import fit

    folder = folder or _chosen(recipe.name)
    data, train = recipe.settings("data"), recipe.settings("train")
    budget = [f"{train.steps} steps"] * bool(train.steps) + [f"{train.minutes:g} minutes"] * bool(train.minutes)
    print(
        f"training {recipe.name} (task {recipe.task}) on {data.train} for {' or '.join(budget)}, in {folder}",
        flush=True,
    )
    return _told(folder, fit(recipe, folder))


def _sweep(name: str, overrides: Sequence[str], folder: Path | None) -> int:
    """Every combination in a folder of its own; one that fails is told and the others go on."""
    from stentor.cli.validate import compose_all
    from stentor.config import expand

    folder = folder or _chosen(f"{name}-sweep")
    cells = expand(overrides)
    recipes = compose_all(name, cells)
    failed = []
    for number, (cell, recipe) in enumerate(zip(cells, recipes, strict=True)):
        place = folder / f"{number:02d}-{_slug(' '.join(cell))}"
        print(f"== {number + 1} of {len(cells)}: {' '.join(cell) or 'as it is'}", flush=True)
        try:
            _train(recipe, place)
        except StentorError as error:
            print(f"stentor: {error}", file=sys.stderr)
            failed.append(place.name)
    print(
        f"{len(cells) - len(failed)} of {len(cells)} runs are in {folder}"
        + "".join(f"; {one} failed" for one in failed)
    )
    return 1 if failed else 0


def _chosen(name: str) -> Path:
    known = os.environ.get(_FOLDER)
    if known:
        return Path(known)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise StentorError("several processes were started from outside; tell them one folder with --run FOLDER.")
    folder = Path("runs") / f"{_slug(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    os.environ[_FOLDER] = str(folder)
    return folder


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=_-]+", "-", text).strip("-")[:100] or "run"


def _told(folder: Path, finished: bool) -> int:
    if finished:
        print(f"the run is in {folder}; score it with: stentor evaluate {folder}")
        return 0
    return 130
