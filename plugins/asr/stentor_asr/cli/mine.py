"""``stentor mine RUN POOL --hours H [--labelled MANIFEST] [--ranker NAME] [-o FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.counts import at_least_one

if TYPE_CHECKING:
    from stentor_asr.mining.mine import Executor, Mined


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recogniser", type=Path, metavar="RUN", help="a trained recogniser: task ctc or speech-lm")
    parser.add_argument("pool", type=Path, metavar="POOL", help="manifest of the pool; its transcripts are not read")
    parser.add_argument("--hours", type=float, required=True, help="audio to choose, in hours")
    parser.add_argument("--labelled", type=Path, metavar="MANIFEST", help="a small labelled set of the same domain")
    parser.add_argument(
        "--ranker", help="one of 'stentor list ranker' (default: mil with a labelled set, entropy without)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where to write (default: RUN/mined)")
    parser.add_argument("--drawn", type=float, default=0.0, metavar="SHARE",
                        help="share of the hours drawn at random from the rest, e.g. 0.2 (default 0)")  # fmt: skip
    parser.add_argument("--guard", action=argparse.BooleanOptionalAction, default=True,
                        help="leave out what nobody could transcribe (default)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the ranker and of the random draw")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=at_least_one, default=1, help="processes on this machine (default 1)")
    where.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster to share the pool out to (extra 'ray')")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")
    parser.add_argument("--top", type=at_least_one, default=20, help="clips in the report (default 20)")


def run(arguments: argparse.Namespace) -> int:
    from stentor_asr.mining import mine, report

    name = arguments.ranker or ("mil" if arguments.labelled else "entropy")
    folder = arguments.output or arguments.recogniser / "mined"
    settings = mine.MineSettings(arguments.hours, arguments.drawn, arguments.guard, arguments.seed, arguments.device)
    job = mine.Job(arguments.recogniser, arguments.pool, _ranker(name, arguments.seed), name, arguments.labelled)
    found = mine.mine(job, folder, settings, _executor(arguments))
    page = report.write(found, arguments.top)
    _tell(found, arguments.guard)
    print(f"Selection: {folder / mine.SELECTED}\nReport: {page}")
    return 0


def _ranker(name: str, seed: int) -> Any:
    from stentor.config import schema
    from stentor.plugins import registry

    known = registry()
    takes = schema.of(known.get("ranker", name, path="--ranker")).field("seed")
    return known.build("ranker", name, **({"seed": seed} if takes else {}))


def _executor(arguments: argparse.Namespace) -> Executor:
    from functools import partial

    from stentor_asr.mining import shards

    if arguments.ray:
        from stentor.extras import require

        require("ray", "ray", distribution="stentor-asr")
        return partial(shards.on_ray, address=arguments.ray)
    return partial(shards.here, jobs=arguments.jobs)


def _tell(found: Mined, guard: bool) -> None:
    chosen, garbage = found.chosen, [one for one in found.judged if one.flags]
    seconds = sum(choice.judged.seconds for choice in chosen)
    print(f"{len(chosen)} of {len(found.judged)} utterances chosen, {seconds / 3600:.3f} h")
    if garbage:
        lost = sum(one.seconds for one in garbage) / 3600
        print(f"{len(garbage)} ({lost:.3f} h) cannot be transcribed: {'left out' if guard else 'not left out'}")
    for name, bad in {"the pool": found.rejected, "the labelled set": found.unlearnt}.items():
        if bad:
            told = f"{len(bad)} of {name} could not be used, e.g. {bad[0].where}: {bad[0].reason}"
            print(told, file=sys.stderr)
