"""Configuration: recipes composed with Hydra, checked against the constructors of the components they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stentor.config.recipe import Recipe
from stentor.config.reference import ComponentOf, NameOf

if TYPE_CHECKING:
    from stentor.plugins import Plugins

__all__ = ["ComponentOf", "NameOf", "Recipe", "compose", "expand"]


def compose(recipe: str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Recipe:
    """Compose a recipe, fill in every default and check everything.

    Args:
        recipe: the name of an installed recipe such as ``asr/speechlm``, or the path of a YAML file.
        overrides: ``encoder=conformer`` swaps a component, ``encoder.dim=256`` changes a value.
        plugins: whose components and recipes; default: the installed ones.

    Raises:
        StentorError: with every problem found, each with its path, value, options and near match.
    """
    from stentor.config.composer import Composer
    from stentor.plugins import installed

    return Composer(plugins or installed()).compose(recipe, overrides)


def expand(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of overrides that sweep: ``encoder=a,b seed=1,2`` gives four.

    Raises:
        StentorError: when an override cannot be parsed.
    """
    from stentor.config.overrides import expand_sweep

    return expand_sweep(overrides)
