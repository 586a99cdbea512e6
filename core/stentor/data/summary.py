"""What a prepared corpus holds, counted while it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stentor.data.quarantine import by_reason
from stentor.data.utterance import Utterance
from stentor.interfaces.corpus import Rejected


@dataclass
class SplitSummary:
    """Counts of one split."""

    utterances: int = 0
    seconds: float = 0.0
    words: int = 0
    without_text: int = 0
    silent: int = 0
    shortest: float = float("inf")
    longest: float = 0.0
    speakers: set[str] = field(default_factory=set)
    distinct: set[str] = field(default_factory=set)
    rates: Counter[int] = field(default_factory=Counter)

    def add(self, utterance: Utterance) -> None:
        words = (utterance.text or "").split()
        self.utterances += 1
        self.seconds += utterance.duration
        self.words += len(words)
        self.without_text += utterance.text is None
        self.silent += bool(utterance.custom.get("silent"))
        self.shortest, self.longest = min(self.shortest, utterance.duration), max(self.longest, utterance.duration)
        self.speakers.update(filter(None, [utterance.speaker]))
        self.distinct.update(words)
        self.rates.update([utterance.sample_rate] if utterance.audio else [])

    def as_dict(self) -> dict[str, Any]:
        return {
            "utterances": self.utterances,
            "hours": round(self.seconds / 3600, 4),
            "speakers": len(self.speakers),
            "words": self.words,
            "distinct_words": len(self.distinct),
            "without_text": self.without_text,
            "silent": self.silent,
            "shortest_seconds": round(self.shortest, 3),
            "longest_seconds": round(self.longest, 3),
            "sample_rates": {str(rate): count for rate, count in sorted(self.rates.items())},
        }


@dataclass
class Summary:
    """Counts of all splits and of what was rejected.

    Attributes:
        about: name, options and versions of the corpus.
        splits: split name -> its counts.
        rejected: reason -> how many items.
    """

    about: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)

    def add(self, split: str, utterance: Utterance) -> None:
        self.splits.setdefault(split, SplitSummary()).add(utterance)

    def reject(self, rejected: Iterable[Rejected]) -> None:
        self.rejected = by_reason(rejected)

    def as_dict(self) -> dict[str, Any]:
        """What goes into ``summary.json``."""
        splits = {name: self.splits[name].as_dict() for name in sorted(self.splits)}
        return {**self.about, "splits": splits, "rejected": self.rejected}

    def lines(self) -> list[str]:
        """The summary in plain words."""
        told = []
        for name in sorted(self.splits):
            told += _told(name, self.splits[name])
        if self.rejected:
            told.append(f"left out: {sum(self.rejected.values())}")
            told += [f"  {count} x {reason}" for reason, count in list(self.rejected.items())[:10]]
        return told


def _told(name: str, part: SplitSummary) -> list[str]:
    plural = "s" * (len(part.speakers) != 1)
    speakers = f"{len(part.speakers)} speaker{plural}" if part.speakers else "speakers unknown"
    words = f"{part.words} words ({len(part.distinct)} different)"
    rates = ", ".join(f"{rate} Hz" for rate in sorted(part.rates)) or "text alone"
    told = [f"{name}: {part.utterances} utterances, {_length(part.seconds)}, {speakers}, {words}, {rates}"]
    told += [f"  {part.silent} of them silent (marked, kept)"] * bool(part.silent)
    return told + [f"  {part.without_text} of them without text"] * bool(part.without_text)


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
