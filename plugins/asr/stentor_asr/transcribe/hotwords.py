"""Phrases to listen for, as a user writes them: ``acme, new york:4.0``, or a file of such lines."""

from __future__ import annotations

import math
from pathlib import Path

from stentor.errors import StentorError

BOOST = 2.0
"""What a phrase without a boost of its own adds to the log-probability of a path (natural logarithm)."""


def read(given: str) -> dict[str, float]:
    """Phrase -> boost, from a file with phrases in its lines (``#`` begins a comment), or from the words themselves.

    Raises:
        StentorError: when a boost is no finite number or nothing is named.
    """
    path = Path(given)
    if _is_file(path):
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
        parts = [part for line in lines if not line.lstrip().startswith("#") for part in line.split(",")]
    else:
        parts = given.split(",")
    found = dict(phrase(part) for part in parts if part.strip())
    if not found:
        raise StentorError("names no phrase; write them as 'acme, new york:4.0' or give a file of them.",
                           path="--hotwords", value=given)  # fmt: skip
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a list of phrases may be no possible name of a file
        return False


def phrase(part: str) -> tuple[str, float]:
    """One phrase, ``acme`` or ``new york:4.0``, and its boost.

    Raises:
        StentorError: when the boost is no finite number, or there is nothing before it.
    """
    words, colon, boost = part.rpartition(":")
    if not colon:
        return " ".join(boost.split()), BOOST
    try:
        value = float(boost)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not words.strip():
        raise StentorError("is no phrase with a boost; write 'phrase:4.0'.", path="--hotwords", value=part.strip())
    return " ".join(words.split()), value
