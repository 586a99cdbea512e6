"""``stentor synthesise TEXTS... -o FOLDER [--voice V]... [--rewrite R]... [--filter F]... [--config FILE]``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.counts import at_least_one

if TYPE_CHECKING:
    from stentor_tts.engine.engine import Executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    several = "may be given several times"
    parser.add_argument("texts", nargs="+", metavar="TEXTS",
                        help="files with a text a line, manifests, or - (standard input)")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="where to write the corpus")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML with the settings; options go over it")
    parser.add_argument("--voice", action="append", metavar="NAME", dest="voices",
                        help=f"a teacher, e.g. hibari~0.85 or espeak:en-us+f2 (default hibari); {several}")  # fmt: skip
    parser.add_argument("--takes", type=int, help="voices that say each text (default 1; 0: all)")
    parser.add_argument("--styled", type=float, metavar="SHARE",
                        help="share of takes at other rates and levels than neutral (default 0)")  # fmt: skip
    parser.add_argument("--rewrite", action="append", metavar="NAME:KEY=VALUE",
                        help=f"one of 'stentor list rewriter', in the order of use; {several}")  # fmt: skip
    parser.add_argument("--filter", action="append", metavar="NAME:KEY=VALUE", dest="filters",
                        help=f"one of 'stentor list filter', in the order of use; {several}")  # fmt: skip
    parser.add_argument("--valid", type=float, metavar="SHARE", help="share of texts for split valid (default 0.02)")
    parser.add_argument("--group", type=at_least_one, metavar="N",
                        help="takes judged together, and lost to a kill at most (default 16)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="of what is drawn (default 0)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=at_least_one, default=1, help="processes on this machine (default 1)")
    where.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster to share the takes out to (extra 'ray')")
    parser.add_argument("--top", type=at_least_one, default=12, metavar="N",
                        help="kept takes, and rejected ones, in the report (default 12)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    from stentor_tts.engine import engine, report, settings

    how = settings.read(arguments.config, _changes(arguments))
    summary, funnel = engine.synthesise(arguments.texts, arguments.output, how, _executor(arguments))
    page = report.write(arguments.output, funnel, arguments.top)
    print(f"synthetic speech, written to {arguments.output}:")
    print("\n".join("  " + line for line in summary.lines()))
    print("\n".join(funnel.lines()))
    print(f"Why each was left out: {arguments.output / 'quarantine.jsonl'}\nReport: {page}")
    return 0


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    from stentor.config import words
    from stentor.plugins import registry

    plain = {name: getattr(arguments, name) for name in ("voices", "takes", "styled", "group", "valid", "seed")}
    lists = {"rewrite": ("rewriter", arguments.rewrite), "filters": ("filter", arguments.filters)}
    components = {name: [words.component(registry(), kind, word) for word in given]
                  for name, (kind, given) in lists.items() if given}  # fmt: skip
    return {name: value for name, value in plain.items() if value is not None} | components


def _executor(arguments: argparse.Namespace) -> Executor:
    from stentor_tts.engine import engine

    if arguments.ray:
        from stentor.extras import require

        require("ray", "ray", distribution="stentor-tts")
        return engine.on_ray(arguments.ray)
    return engine.here(arguments.jobs)
