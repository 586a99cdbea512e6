"""``stentor evaluate RUN [SET=MANIFEST ...]``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.pairs import pairs
from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.evaluate.runner import Subject
    from stentor.evaluate.settings import EvaluateSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RUN | SET=MANIFEST | evaluate.KEY=VALUE | decoder=NAME | decoder.KEY=VALUE",
        help="a run folder; sets to score in place of the recipe's; settings to change; another decoder for the run",
    )
    parser.add_argument("--sets", default="", help="score only these sets, e.g. heldout-voice,real")
    parser.add_argument("--recogniser", default="", help="score an embedded recogniser in place of a run")
    parser.add_argument("--output", type=Path, help="where the results go; default: the run folder")
    parser.add_argument("--swap", action="append", default=[], metavar="GLOB=RUN",
                        help="take these tensors from another run, e.g. 'model.backbone.*=runs/lm-chat'")  # fmt: skip
    parser.add_argument("--ground-truth", action="store_true",
                        help="of a run that speaks: score the sets' own audio too, to compare with")  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="decode again what has been decoded before")


def run(arguments: argparse.Namespace) -> int:
    folders = [word for word in arguments.words if "=" not in word]
    if bool(arguments.recogniser) == bool(folders) or len(folders) > 1:
        raise StentorError("name one run folder, or a recogniser with --recogniser NAME.")
    assigned = [word for word in arguments.words if "=" in word]
    changes = [word for word in assigned if word.lstrip("+").startswith("evaluate.")]
    changes += ["evaluate.ground_truth=true"] * arguments.ground_truth
    decoders = _decoders(folders[0], assigned) if folders else []
    given = dict(word.split("=", 1) for word in assigned if word not in changes and word not in decoders)
    if arguments.recogniser:
        subject, settings = _recogniser(arguments, changes)
    else:
        subject, settings = _run(folders[0], arguments, changes, decoders)
    wanted = [name.strip() for name in arguments.sets.split(",") if name.strip()]
    return _evaluate(subject, settings, given, wanted, fresh=arguments.fresh)


def _decoders(folder: str, assigned: list[str]) -> list[str]:
    """The words that change a decoder of the run, and are no sets."""
    from stentor.config import Recipe

    settings = Path(folder) / "config.yaml"
    roles = Recipe.from_file(settings).decoders if settings.is_file() else []
    return [word for word in assigned if re.split(r"[.=]", word.lstrip("+"), maxsplit=1)[0] in roles]


def _run(
    folder: str, arguments: argparse.Namespace, changes: list[str], decoders: list[str]
) -> tuple[Subject, EvaluateSettings]:
    from stentor.evaluate.subjects import of_run

    swaps = pairs(arguments.swap, "GLOB=RUN", "--swap")
    return of_run(Path(folder), arguments.output, changes, swaps, decoders)


def _recogniser(arguments: argparse.Namespace, changes: list[str]) -> tuple[Subject, EvaluateSettings]:
    from stentor.evaluate.subjects import of_recogniser

    return of_recogniser(arguments.recogniser, arguments.output, changes)


def _evaluate(
    subject: Subject, settings: EvaluateSettings, given: dict[str, str], wanted: list[str], *, fresh: bool
) -> int:
    from stentor.evaluate.runner import choose_sets, evaluate_set

    results: list[dict[str, Any]] = []
    for name, path in choose_sets(settings, given, wanted).items():
        if not Path(path).is_file():
            print(f"{name}: skipped, its manifest '{path}' does not exist", file=sys.stderr)
            continue
        results.append(evaluate_set(subject, name, path, settings, fresh=fresh))
    if not results:
        raise StentorError("no set could be scored: none of the manifests exists; make them with 'stentor prepare'.")
    _print(results, subject.folder / "evaluation")
    return 0


def _print(results: Sequence[dict[str, Any]], folder: Path) -> None:
    from stentor.evaluate import told
    from stentor.evaluate.table import footnotes, mistakes, table, truths, verdicts

    print(table(results))
    for tell in (truths, verdicts, told.lines, mistakes):
        for line in (line for result in results for line in tell(result)):
            print(line)
    print("\n".join(footnotes(results)))
    failed = sum(result["failed"] for result in results)
    if failed:
        print(f"The model failed on {failed} utterances, scored as empty; the reasons are in {folder}.")
    print(f"Results: {folder}")
