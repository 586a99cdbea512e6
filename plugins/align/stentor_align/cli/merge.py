"""``stentor merge RUN [RUN ...] -o FOLDER``: one run out of several, or the policy out of a run that tuned it."""

from __future__ import annotations

import argparse
from pathlib import Path

from stentor.errors import StentorError

_METHODS = ("linear", "task-arithmetic", "ties", "slerp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders; of a run that tuned a policy, the policy")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new run")
    parser.add_argument("--method", choices=_METHODS, default="linear", help="default: linear")
    parser.add_argument("--weights", metavar="A,B,...", help="of the runs, e.g. 5,5,1 (not slerp; default: equal)")
    parser.add_argument("--base", metavar="RUN", help="what the others began as (task-arithmetic, ties)")
    parser.add_argument("--scale", type=float, help="of what is added to the base (task-arithmetic, ties; default 1)")
    parser.add_argument("--density", type=float, help="share of each difference that is kept (ties; default 0.2)")
    parser.add_argument("--way", type=float, help="how far to go to the second run (slerp; default 0.5)")


def run(arguments: argparse.Namespace) -> int:
    from stentor_align.merging import merge

    shares = None
    try:
        if arguments.weights is not None:
            shares = [float(one) for one in arguments.weights.split(",")]
    except ValueError as cause:
        raise StentorError("it must be numbers with commas between them.", path="--weights",
                           value=arguments.weights) from cause  # fmt: skip
    merge(
        arguments.output,
        arguments.runs,
        arguments.method,
        shares=shares,
        base=arguments.base or "",
        scale=arguments.scale,
        density=arguments.density,
        way=arguments.way,
    )
    print(f"Merged: {arguments.output} ({arguments.method} of {len(arguments.runs)})")
    return 0
