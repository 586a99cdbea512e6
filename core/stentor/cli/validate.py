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


def _report(recipe: str, overrides: Sequence[str]) -> int:
    composed, problems = problems_of(recipe, overrides)
    if composed is None or problems:
        plural = "problem" if len(problems) == 1 else "problems"
        print(f"{recipe}: {len(problems)} {plural}", file=sys.stderr)
        for problem in problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    print(f"{recipe}: fine")
    width = max(map(len, composed.sections), default=0)
    names = max((len(section["name"]) for section in composed.sections.values()), default=0)
    for role, section in composed.sections.items():
        print(f"  {role:<{width}}  {section['name']:<{names}}  {_facts(composed, role)}".rstrip())
    return 0


def _facts(recipe: Recipe, role: str) -> str:
    """What neighbours know of the component that plays `role`: widths, rates (Hz), strides."""
    section = recipe.sections[role]
    settings = {key: value for key, value in section.items() if key != "name"}
    cls = installed().registry.get(recipe.roles[role], section["name"]).load()
    if hasattr(cls, "spec"):
        spec = cls.spec(**settings)
        return f"{spec.dim} wide, {spec.frame_rate:g} frames/s, audio at {spec.sample_rate} Hz"
    if hasattr(cls, "stride_of"):
        return f"one of {cls.stride_of(**settings)} frames"
    if hasattr(cls, "dim_of"):
        return f"{cls.dim_of(**settings)} wide"
    return ""
