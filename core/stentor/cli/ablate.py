"""``stentor ablate RECIPE key=a,b seed=1,2,3``."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from stentor.cli.counts import at_least_one

if TYPE_CHECKING:
    from stentor.ablate.launch import How


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="a recipe's name or YAML file")
    parser.add_argument(
        "words", nargs="+", metavar="key=value", help="key=a,b varies, key=a holds for all; seed=1,2,3 repeats"
    )
    parser.add_argument(
        "--baseline", action="append", default=[], help="key=a,other=x: what to compare with; default: the first values"
    )
    parser.add_argument("--run", type=Path, help="folder of the ablation; an unfinished one goes on")
    parser.add_argument("--jobs", type=at_least_one, default=1, help="cells at a time on this machine")
    parser.add_argument("--launcher", default="", help="a Hydra launcher plugin, e.g. joblib or submitit_slurm")
    parser.add_argument(
        "--launcher-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the launcher plugin"
    )


def run(arguments: argparse.Namespace) -> int:
    from stentor.ablate import plan, runner, tables
    from stentor.cli.validate import compose_all
    from stentor.evaluate.table import aligned

    folder = arguments.run or Path("runs") / f"ablation-{re.sub(r'[^A-Za-z0-9._-]+', '-', arguments.recipe)}"
    chosen = plan.parse_baseline(arguments.baseline)
    made = plan.make(arguments.recipe, arguments.words, folder.resolve(), chosen)
    compose_all(made.recipe, [cell.overrides for cell in made.cells])
    print(f"{len(made.cells)} cells, baseline {made.baseline}, in {folder}", flush=True)
    try:
        summary = runner.run(made, _how(arguments))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", flush=True)
        raise
    for grid in tables.grids(summary):
        print(f"\n{grid.title}\n{aligned([grid.head, *grid.rows])}")
    for cell, error in summary.failed:
        print(f"no result: {cell.name}: {error.splitlines()[0]}")
    print(f"Report: {folder / 'report.html'}")
    return 1 if summary.failed else 0


def _how(arguments: argparse.Namespace) -> How:
    from stentor.ablate.launch import How

    if arguments.jobs > 1:
        threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    return How(arguments.launcher, tuple(arguments.launcher_set), max(1, arguments.jobs))
