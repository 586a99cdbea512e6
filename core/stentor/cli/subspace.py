"""``stentor subspace RUN [SET=MANIFEST ...]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.counts import at_least_one
from stentor.cli.pairs import pairs
from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.config import Recipe
    from stentor.data.utterance import Utterance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run folder whose task has an adapter")
    parser.add_argument("pairs", nargs="*", metavar="SET=MANIFEST", help="sets to score in place of the recipe's")
    parser.add_argument("--sets", default="", help="score only these sets, e.g. heldout-voice,real")
    parser.add_argument("--fit", type=at_least_one, default=300, metavar="N",
                        help="training utterances to find directions on (default 300)")  # fmt: skip
    parser.add_argument("--keep", default="", metavar="K,K", help="how many directions to keep, in turn")
    parser.add_argument("--free", type=int, default=0, metavar="K",
                        help="directions that count as used when testing the free ones (default: 1/4)")  # fmt: skip
    parser.add_argument("--random", type=int, default=2, help="random choices beside each (default 2)")
    parser.add_argument("--strength", type=float, default=0.25,
                        help="length of the speaker vector over the RMS of the outputs (default 0.25)")  # fmt: skip
    parser.add_argument("--adapter", default="", help="which one, where the task has several")
    parser.add_argument("--swap", action="append", default=[], metavar="GLOB=RUN",
                        help="take these tensors from another run")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, help="folder for the result; default: RUN/analysis")


def run(arguments: argparse.Namespace) -> int:
    from stentor.analysis.hearing import adapter_of
    from stentor.analysis.subspace import analyse
    from stentor.evaluate.runner import choose_sets
    from stentor.report import subspace_report
    from stentor.train import load

    settings = _settings(arguments)
    swaps = pairs(arguments.swap, "GLOB=RUN", "--swap")
    recipe, task = load(arguments.run, swaps=swaps)
    adapter_of(task, settings.adapter)  # a run without one is refused before its data are asked for
    wanted = [name.strip() for name in arguments.sets.split(",") if name.strip()]
    named = choose_sets(recipe.settings("evaluate"), pairs(arguments.pairs, "SET=MANIFEST", "SET=MANIFEST"), wanted)
    found = analyse(recipe, task, _drawn(recipe, arguments.fit), _rows(named), settings)
    folder = arguments.output or arguments.run / "analysis"
    result = {"run": str(arguments.run), "recipe": recipe.name, **({"swaps": swaps} if swaps else {}), **found}
    _write(folder / "subspace.json", result)
    print("\n".join(subspace_report.summary(result)))
    print(f"Result: {folder / 'subspace.json'}, {subspace_report.write(result, folder / 'subspace.html')}")
    return 0


def _settings(arguments: argparse.Namespace) -> Any:
    from stentor.analysis.subspace import SubspaceSettings

    try:
        keep = tuple(int(part) for part in arguments.keep.split(",") if part.strip())
    except ValueError as cause:
        raise StentorError("it must be whole numbers, e.g. 12,24,48.", path="--keep", value=arguments.keep) from cause
    wrong = [f"--{name}" for name in ("free", "random", "strength") if getattr(arguments, name) < 0]
    if wrong or any(k < 1 for k in keep):
        raise StentorError("it must not be negative.", path=(wrong or ["--keep"])[0])
    return SubspaceSettings(arguments.adapter, keep, arguments.free, arguments.random, arguments.strength)


def _drawn(recipe: Recipe, most: int) -> list[Utterance]:
    """At most so many training utterances, drawn at random: a corpus may repeat its speakers in turn."""
    import random

    from stentor.train.batches import training_rows

    rows = training_rows(recipe.settings("data"))
    return random.Random(0).sample(rows, min(most, len(rows)))


def _rows(named: Mapping[str, str]) -> dict[str, list[Utterance]]:
    from stentor.data import manifest

    missing = [name for name, path in named.items() if not Path(path).is_file()]
    for name in missing:
        print(f"{name}: skipped, its manifest '{named[name]}' does not exist", file=sys.stderr)
    if len(missing) == len(named):
        raise StentorError("no set could be scored: none of the manifests exists.")
    return {name: manifest.load(path) for name, path in named.items() if name not in missing}


def _write(path: Path, result: Mapping[str, Any]) -> None:
    from stentor.data.atomic import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
