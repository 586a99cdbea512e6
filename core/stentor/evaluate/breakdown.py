"""What the utterances of a set tell: by speaker, by duration, which words go wrong."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stentor.evaluate.alignment import Step, align, tally
from stentor.evaluate.significance import bootstrap
from stentor.interfaces.normaliser import Normaliser

Row = Mapping[str, Any]
Alignments = Mapping[str, Sequence[Step]]
"""Utterance -> alignment of its reference with its output, word by word."""
_BINS = 6
_RESAMPLES = 1000
_MOST = 20


@dataclass(frozen=True)
class Group:
    """The score of some utterances: value with interval, in the metric's unit; None where not defined.

    Attributes:
        label: what they have in common.
        errors: the metric's.
        units: what the metric divides them by.
        words: words of the references, after the normaliser, like the following.
        substitutions: words taken for others.
        deletions: words lost.
        insertions: words added.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    utterances: int
    errors: float
    units: float
    words: int
    substitutions: int
    deletions: int
    insertions: int


@dataclass(frozen=True)
class Errors:
    """The most frequent errors: (what, how often)."""

    substitutions: list[tuple[str, str, int]]
    insertions: list[tuple[str, int]]
    deletions: list[tuple[str, int]]
    totals: Mapping[str, int]


def words(row: Row, normaliser: Normaliser) -> list[Step]:
    """Alignment of normalised reference and output words."""
    return align(normaliser(row["reference"]).split(), normaliser(row["output"]).split())


def alignments(rows: Sequence[Row], normaliser: Normaliser) -> Alignments:
    """`words` of every row that has a text; what is spoken has one where a recogniser has heard it."""
    return {row["id"]: words(row, normaliser) for row in rows if row["output"] or not _unheard(row)}


def _unheard(row: Row) -> bool:
    return "output_audio" in row and "heard" not in row.get("notes", {})


def group(label: str, rows: Sequence[Row], metric: str, factor: float, aligned: Alignments) -> Group:
    """The score of `rows`; `factor` is 100 for per cent."""
    counts = [tuple(row["counts"][metric]) for row in rows]
    found = bootstrap(counts, resamples=_RESAMPLES)
    errors, units = (sum(pair[side] for pair in counts) for side in (0, 1))
    value, low, high = (None if math.isnan(part) else part * factor for part in (found.value, found.low, found.high))
    kinds = tally([step for row in rows for step in aligned.get(row["id"], ())])
    said = kinds["equal"] + kinds["substitution"] + kinds["deletion"]
    wrong = (kinds["substitution"], kinds["deletion"], kinds["insertion"])
    return Group(label, value, low, high, len(rows), errors, units, said, *wrong)


def by_speaker(rows: Sequence[Row], metric: str, factor: float, aligned: Alignments) -> list[Group]:
    """One group per speaker, worst first."""
    speakers: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        speakers[row["speaker"] or "(unknown)"].append(row)
    groups = [group(name, spoken, metric, factor, aligned) for name, spoken in speakers.items()]
    return sorted(groups, key=lambda one: (-(one.value or 0), one.label))


def by_duration(rows: Sequence[Row], metric: str, factor: float, aligned: Alignments) -> list[Group]:
    """Up to six groups of about equally many utterances, by their length (s)."""
    ordered = sorted(rows, key=lambda row: row["duration"])
    bins = min(_BINS, max(1, len(ordered) // 5))
    found = []
    for part in np.array_split(np.arange(len(ordered)), bins) if ordered else ():
        members = [ordered[index] for index in part]
        label = f"{members[0]['duration']:.1f}\N{EN DASH}{members[-1]['duration']:.1f} s"
        found.append(group(label, members, metric, factor, aligned))
    return found


def errors(aligned: Alignments, most: int = _MOST) -> Errors:
    """Which words are taken for which, added and lost."""
    kinds: defaultdict[str, Counter[Step]] = defaultdict(Counter)
    for step in (step for steps in aligned.values() for step in steps):
        kinds[step.kind][step] += 1
    return Errors(
        [(step.reference or "", step.output or "", n) for step, n in kinds["substitution"].most_common(most)],
        [(step.output or "", n) for step, n in kinds["insertion"].most_common(most)],
        [(step.reference or "", n) for step, n in kinds["deletion"].most_common(most)],
        {kind: sum(kinds[kind].values()) for kind in ("substitution", "insertion", "deletion")},
    )


def tables(rows: Sequence[Row], metric: str, factor: float, normaliser: Normaliser) -> dict[str, Any]:
    """Everything above as plain data, for ``evaluation/SET.json``.

    Args:
        rows: utterances; those without ``counts`` of the metric are passed over.
        metric: whose values and intervals the groups have.
        factor: 100 for per cent.
        normaliser: of the words.
    """
    scored = [row for row in rows if metric in row.get("counts", {})]
    aligned = alignments(scored, normaliser)
    return {
        "metric": metric,
        "words": asdict(errors(aligned)),
        "speakers": [asdict(one) for one in by_speaker(scored, metric, factor, aligned)],
        "durations": [asdict(one) for one in by_duration(scored, metric, factor, aligned)],
    }
