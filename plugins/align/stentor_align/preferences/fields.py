"""The custom fields of a manifest that hold preferences: ``chosen`` and ``rejected``, or ``ranked``.

A response is a mapping with ``text``, ``tokens`` (ids of the policy that said it, its stop id included) or ``audio`` (a
file that people listen to; a relative path counts from the manifest's folder), and where they are known ``score`` (its
reward) and ``log_probs`` (of its tokens under a reference, with ``reference``, the hash of that reference's weights). A
bare text stands for ``{text: ...}``. A ranked list has the best response first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from stentor.errors import StentorError

FIELDS = ("text", "tokens", "audio", "score", "log_probs", "reference")


@dataclass(frozen=True)
class Pair:
    """Two responses to a prompt; `margin` is by how much the first one scores higher, NaN where that is not known."""

    chosen: Mapping[str, Any]
    rejected: Mapping[str, Any]
    margin: float


def pairs(custom: Mapping[str, Any], *, margin: float = 0.0) -> list[Pair]:
    """The preferences that a row's custom fields hold, none where they hold none.

    Args:
        custom: of a manifest's row.
        margin: pairs whose scores are known to be apart by this or less are left out.

    Raises:
        StentorError: when a field is not what it should be.
    """
    found = []
    if "chosen" in custom or "rejected" in custom:
        found.append((response(custom.get("chosen"), "chosen"), response(custom.get("rejected"), "rejected")))
    if "ranked" in custom:
        found += combinations(ranking(custom["ranked"]), 2)
    made = [Pair(better, worse, score(better) - score(worse)) for better, worse in found]
    return [pair for pair in made if math.isnan(pair.margin) or pair.margin > margin]


def ranking(value: Any) -> list[dict[str, Any]]:
    """The responses of a ``ranked`` field, best first.

    Raises:
        StentorError: when it is no list of responses, or scores rise along it.
    """
    if not isinstance(value, list | tuple):
        raise StentorError(f"it must be a list of responses, not {type(value).__name__}.", path="ranked")
    found = [response(one, f"ranked[{number}]") for number, one in enumerate(value)]
    scores = [known for one in found if not math.isnan(known := score(one))]
    if scores != sorted(scores, reverse=True):
        raise StentorError("the best response must come first, and its scores rise.", path="ranked")
    return found


def score(found: Mapping[str, Any]) -> float:
    """The score of a response, NaN where it has none."""
    return float(found.get("score", math.nan))


def response(value: Any, path: str) -> dict[str, Any]:
    """A response as a mapping, checked.

    Raises:
        StentorError: when it is none; `path` says where.
    """
    found = {"text": value} if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise StentorError(f"it must be a response, not {type(value).__name__}.", path=path)
    unknown = sorted(set(found) - set(FIELDS))
    if unknown:
        raise StentorError("a response has no such field.", path=f"{path}.{unknown[0]}", options=FIELDS)
    if not {"text", "tokens", "audio"} & set(found):
        raise StentorError("a response needs 'text', 'tokens' or 'audio'.", path=path)
    wrong = {
        "text": not isinstance(found.get("text", ""), str),
        "audio": not isinstance(found.get("audio", ""), str),
        "tokens": not _numbers(found.get("tokens", []), int),
        "score": not _numbers([found.get("score", 0.0)], int, float),
        "log_probs": not _numbers(found.get("log_probs", []), int, float),
        "reference": not isinstance(found.get("reference", ""), str),
    }
    for name, faulty in wrong.items():
        if faulty:
            raise StentorError(f"{str(found[name])[:40]!r} is not what it should be.", path=f"{path}.{name}")
    return dict(found)


def _numbers(value: Any, *kinds: type) -> bool:
    return isinstance(value, list | tuple) and all(type(one) in kinds and math.isfinite(one) for one in value)
