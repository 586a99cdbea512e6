"""What the utterances of a set tell: by speaker, by duration, which words go wrong."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stentor.evaluate.alignment import Step, align
from stentor.evaluate.significance import bootstrap
from stentor.interfaces.normaliser import Normaliser

Row = Mapping[str, Any]
_BINS = 6
_RESAMPLES = 1000


@dataclass(frozen=True)
class Group:
    """The score of some utterances: value with interval, in the metric's unit; None where not defined."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    utterances: int
    errors: float
    units: float


def group(label: str, rows: Sequence[Row], metric: str, factor: float) -> Group:
    """The score of `rows`; `factor` is 100 for per cent."""
    counts = [tuple(row["counts"][metric]) for row in rows]
    found = bootstrap(counts, resamples=_RESAMPLES)
    errors, units = (sum(pair[side] for pair in counts) for side in (0, 1))
    value, low, high = (None if math.isnan(part) else part * factor for part in (found.value, found.low, found.high))
    return Group(label, value, low, high, len(rows), errors, units)


def by_speaker(rows: Sequence[Row], metric: str, factor: float) -> list[Group]:
    """One group per speaker, worst first."""
    speakers: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        speakers[row["speaker"] or "(unknown)"].append(row)
    groups = [group(name, spoken, metric, factor) for name, spoken in speakers.items()]
    return sorted(groups, key=lambda one: (-(one.value or 0), one.label))


def by_duration(rows: Sequence[Row], metric: str, factor: float) -> list[Group]:
    """Up to six groups of about equally many utterances, by their length (s)."""
    ordered = sorted(rows, key=lambda row: row["duration"])
    bins = min(_BINS, max(1, len(ordered) // 5))
    found = []
    for part in np.array_split(np.arange(len(ordered)), bins) if ordered else ():
        members = [ordered[index] for index in part]
        label = f"{members[0]['duration']:.1f}\N{EN DASH}{members[-1]['duration']:.1f} s"
        found.append(group(label, members, metric, factor))
    return found


def words(row: Row, normaliser: Normaliser) -> list[Step]:
    """Alignment of normalised reference and output words."""
    return align(normaliser(row["reference"]).split(), normaliser(row["output"]).split())


@dataclass(frozen=True)
class Errors:
    """The most frequent errors: (what, how often)."""

    substitutions: list[tuple[str, str, int]]
    insertions: list[tuple[str, int]]
    deletions: list[tuple[str, int]]
    totals: Mapping[str, int]


def errors(rows: Sequence[Row], normaliser: Normaliser, most: int = 10) -> Errors:
    """Which words are taken for which, added and lost, over all `rows`."""
    steps = Counter(step for row in rows if row["reference"] != row["output"] for step in words(row, normaliser))
    kinds: defaultdict[str, Counter[Step]] = defaultdict(Counter)
    for step, count in steps.items():
        kinds[step.kind][step] = count
    return Errors(
        [(step.reference or "", step.output or "", n) for step, n in kinds["substitution"].most_common(most)],
        [(step.output or "", n) for step, n in kinds["insertion"].most_common(most)],
        [(step.reference or "", n) for step, n in kinds["deletion"].most_common(most)],
        {kind: sum(kinds[kind].values()) for kind in ("substitution", "insertion", "deletion")},
    )
