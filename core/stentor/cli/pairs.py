"""Pairs on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from stentor.errors import StentorError


def pairs(words: Sequence[str], form: str, path: str) -> dict[str, str]:
    """What is written ``KEY=VALUE`` as a mapping.

    Args:
        words: as they were typed.
        form: how to write one, e.g. ``GLOB=RUN``.
        path: of the argument, for the error.

    Raises:
        StentorError: for a word without ``=``.
    """
    wrong = next((word for word in words if "=" not in word), None)
    if wrong is not None:
        raise StentorError(f"it is written {form}.", path=path, value=wrong)
    return dict(word.split("=", 1) for word in words)
