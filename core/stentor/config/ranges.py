"""Ranges of settings: every value that lies outside is told at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from stentor.errors import Problem, StentorError

Finding = tuple[bool, str]
"""Whether a value is right, and what would be, e.g. ``at least 1``."""


def check(settings: object, wanted: Mapping[str, Finding]) -> None:
    """Refuse `settings` with values out of range; for the ``__post_init__`` of a settings dataclass.

    Args:
        settings: has an attribute for each key of `wanted`.
        wanted: name of a setting -> what was found.

    Raises:
        StentorError: with a problem for every wrong value.
    """
    refuse({name: (getattr(settings, name), found) for name, found in wanted.items()})


def refuse(wanted: Mapping[str, tuple[Any, Finding]], prefix: str = "") -> None:
    """Refuse values out of range; for a component's constructor and the class methods that know it unbuilt.

    Args:
        wanted: name of a setting -> its value and what was found.
        prefix: put before the names, e.g. ``adapter.``.

    Raises:
        StentorError: with a problem for every wrong value.
    """
    wrong = [
        Problem(f"it must be {right}.", prefix + name, value)
        for name, (value, (fine, right)) in wanted.items()
        if not fine
    ]
    if wrong:
        raise StentorError(problems=wrong)


def least(value: float, bound: float) -> Finding:
    """At least `bound`, and finite."""
    return bound <= value < inf, f"at least {bound:g}, not {value:g}"


def above_zero(value: float) -> Finding:
    """More than 0, and finite."""
    return 0 < value < inf, f"more than 0, not {value:g}"


def share(value: float) -> Finding:
    """0 to 1, both included."""
    return 0 <= value <= 1, f"between 0 and 1, not {value:g}"


def probability(value: float) -> Finding:
    """0 to less than 1, as of dropping values."""
    return 0 <= value < 1, f"at least 0 and less than 1, not {value:g}"
