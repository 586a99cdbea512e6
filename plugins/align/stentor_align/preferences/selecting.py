"""From several scored responses to a prompt to what is preferred: pairs or ranked lists, filtered by margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from stentor.data.utterance import Utterance
from stentor.interfaces.corpus import Rejected

Form = Literal["best-worst", "all", "ranked"]
FORMS: tuple[Form, ...] = ("best-worst", "all", "ranked")


@dataclass(frozen=True)
class Selection:
    """What of scored responses becomes a preference.

    Step-Audio-EditX keeps human pairs that are more than 3 points of 5 apart, and a judge's that are more than 8 of 10
    (arXiv 2511.03601).

    Attributes:
        margin: two responses are a pair only where their scores are apart by more than this.
        form: the ``best-worst`` pair of a prompt; ``all`` its pairs, one row each; or one ``ranked`` list.
    """

    margin: float = 0.0
    form: Form = "best-worst"


def select(
    utterance: Utterance, candidates: Sequence[dict[str, Any]], selection: Selection
) -> list[Utterance | Rejected]:
    """The rows that a prompt and its scored responses give, or why there is none.

    Args:
        utterance: the prompt's row.
        candidates: responses with ``score``; where it is missing or NaN the response is left out, and so is one that
            says the same as an earlier one.
        selection: what to take.
    """
    scored = [one for one in _different(candidates) if math.isfinite(one.get("score", math.nan))]
    scored.sort(key=lambda one: -one["score"])
    if len(scored) < 2:
        return [Rejected(utterance.id, f"too few different responses have a score: {len(scored)}")]
    apart = scored[0]["score"] - scored[-1]["score"]
    if not apart > selection.margin:
        told = f"scores too close: best and worst are apart by {apart:g}, not by more than {selection.margin:g}"
        return [Rejected(utterance.id, told)]
    if selection.form == "ranked":
        return [_row(utterance, ranked=scored)]
    if selection.form == "best-worst":
        return [_row(utterance, chosen=scored[0], rejected=scored[-1])]
    pairs = [(a, b) for a, b in combinations(scored, 2) if a["score"] - b["score"] > selection.margin]
    return [
        replace(_row(utterance, chosen=better, rejected=worse), id=f"{utterance.id}-{number}")
        for number, (better, worse) in enumerate(pairs)
    ]


def _row(utterance: Utterance, **fields: Any) -> Utterance:
    kept = {key: value for key, value in utterance.custom.items() if key not in ("chosen", "rejected", "ranked")}
    return replace(utterance, custom={**kept, **fields})


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two responses say the same, so that neither can be preferred.

    Their tokens tell, where both have them; else the file that people hear; else, where there is none, their texts.
    """
    for name in ("tokens", "audio"):
        if name in one and name in other:
            return list(one[name]) == list(other[name])
    return not ("audio" in one or "audio" in other) and one.get("text") == other.get("text")


def _different(candidates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in candidates:
        if not any(same(one, earlier) for earlier in found):
            found.append(one)
    return found
