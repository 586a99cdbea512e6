"""Ranges of settings: every value that lies outside is told at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from stentor.errors import Problem, StentorError


def check(settings: object, wanted: Mapping[str, tuple[bool, str]]) -> None:
    """Refuse `settings` with values out of range; for the ``__post_init__`` of a settings dataclass.

    Args:
        settings: has an attribute for each key of `wanted`.
        wanted: name of a setting -> whether its value is right, and what would be, e.g. ``at least 1``.

    Raises:
        StentorError: with a problem for every wrong value.
    """
    values = {name: getattr(settings, name) for name in wanted}
    wrong = [Problem(f"it must be {right}.", name, values[name]) for name, (fine, right) in wanted.items() if not fine]
    if wrong:
        raise StentorError(problems=wrong)


def least(value: float, bound: float) -> tuple[bool, str]:
    """At least `bound`, and finite."""
    return bound <= value < inf, f"at least {bound:g}, not {value:g}"


def above_zero(value: float) -> tuple[bool, str]:
    """More than 0, and finite."""
    return 0 < value < inf, f"more than 0, not {value:g}"


def share(value: float) -> tuple[bool, str]:
    """0 to 1, both included."""
    return 0 <= value <= 1, f"between 0 and 1, not {value:g}"


def probability(value: float) -> tuple[bool, str]:
    """0 to less than 1, as of dropping values."""
    return 0 <= value < 1, f"at least 0 and less than 1, not {value:g}"
