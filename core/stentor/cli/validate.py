"""Find everything that can be wrong with a recipe, without data, weights or GPU.

stentor validate asr/speechlm encoder=conformer train.minutes=5
stentor validate my/recipe.yaml
stentor validate --all
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from stentor.config import Recipe, compose
from stentor.errors import Problem, StentorError
from stentor.plugins import installed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("recipe", nargs="?", help="name of an installed recipe, or path of a YAML file")
    parser.add_argument(
        "overrides", nargs="*", help="encoder=conformer swaps a component, encoder.dim=256 sets a value"
    )
    parser.add_argument("--all", action="store_true", help="check every installed recipe")


def run(arguments: argparse.Namespace) -> int:
    """Check, print what fits or every problem, and return 2 when there are problems."""
    if arguments.all:
        # with --all, a first word is an override for all recipes
        overrides = [word for word in (arguments.recipe, *arguments.overrides) if word]
        return max([_report(name, overrides) for name in sorted(installed().recipes)], default=0)
    if arguments.recipe is None:
        raise StentorError("which recipe?", suggestion="See: stentor list recipes")
    return _report(arguments.recipe, arguments.overrides)


def problems_of(recipe: str, overrides: Sequence[str]) -> tuple[Recipe | None, list[Problem]]:
    """The composed recipe, if it has the right structure, and everything that is wrong with it."""
    try:
        composed = compose(recipe, overrides)
    except StentorError as error:
        return None, list(error.problems)
    return composed, composed.misfits()


def compose_all(recipe: str, cells: Sequence[Sequence[str]]) -> list[Recipe]:
    """The recipe under each of several lists of overrides, every one of them checked before any is used.

    Raises:
        StentorError: with everything that is wrong with any of them.
    """
    checked = [problems_of(recipe, cell) for cell in cells]
    wrong = {str(problem): problem for _, problems in checked for problem in problems}
    if wrong:
        raise StentorError(problems=wrong.values())
    return [composed for composed, _ in checked if composed is not None]


def _report(recipe: str, overrides: Sequence[str]) -> int:
    composed, problems = problems_of(recipe, overrides)
    if composed is None or problems:
        plural = "problem" if len(problems) == 1 else "problems"
        print(f"{recipe}: {len(problems)} {plural}", file=sys.stderr)
        for problem in problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    print("\n".join((f"{recipe}: fine", *_rows(composed))))
    return 0


def _rows(recipe: Recipe) -> list[str]:
    """Role, component, and what its neighbours know of it."""
    width = max(map(len, recipe.sections), default=0)
    names = max((len(section["name"]) for section in recipe.sections.values()), default=0)
    rows = []
    for role, section in recipe.sections.items():
        rows.append(f"  {role:<{width}}  {section['name']:<{names}}  {recipe.facts(role)}".rstrip())
    return rows
