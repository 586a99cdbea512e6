"""How many passes of the backbone a generation took, and how many drafted tokens they accepted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Round:
    """One row's part in one verifying pass.

    Attributes:
        drafted: tokens that were proposed.
        taken: tokens that the row gained: the accepted drafts and, unless the row ended before it, the backbone's own.
        whole: whether the text went on for at least ``1 + drafted`` tokens, so that all of them were possible.
    """

    drafted: int
    taken: int
    whole: bool


@dataclass
class DecodingStatistics:
    """Sums over rows; a pass of the backbone counts once for each row that takes part in it.

    Attributes:
        rows: generated texts.
        tokens: generated, end tokens included.
        forwards: passes of the backbone, the prompt's included.
        rounds: how often each kind of round occurred; every pass but the prompt's is one.
    """

    rows: int = 0
    tokens: int = 0
    forwards: int = 0
    rounds: Counter[Round] = field(default_factory=Counter)

    def add(self, other: DecodingStatistics) -> None:
        """Count `other` in."""
        self.rows += other.rows
        self.tokens += other.tokens
        self.forwards += other.forwards
        self.rounds.update(other.rounds)

    def row(self, tokens: int, rounds: Sequence[tuple[int, int]]) -> None:
        """Count a finished row of `tokens` tokens that gained them in `rounds` of (drafted, taken)."""
        self.rows += 1
        self.tokens += tokens
        self.forwards += 1 + len(rounds)
        left = tokens - 1
        for drafted, taken in rounds:
            self.rounds[Round(drafted, taken, whole=left > drafted)] += 1
            left -= taken

    def plain_row(self, tokens: int) -> None:
        """Count a finished row that gained one token per pass."""
        self.rows += 1
        self.tokens += tokens
        self.forwards += tokens
        if tokens > 1:
            self.rounds[Round(0, 1, whole=True)] += tokens - 1

    def to_json(self) -> dict[str, Any]:
        """Plain data: counts, forwards per token, and acceptance by position over all rounds and over whole ones."""
        return {
            "rows": self.rows,
            "tokens": self.tokens,
            "forwards": self.forwards,
            "forwards_per_token": self.forwards / self.tokens if self.tokens else None,
            "all_rounds": acceptance(self.rounds),
            "whole_rounds": acceptance({one: count for one, count in self.rounds.items() if one.whole}),
        }


def acceptance(rounds: Mapping[Round, int]) -> dict[str, Any]:
    """Strict acceptance by position: position h counts as accepted where h drafts or more were accepted.

    The mean accepted length, tokens gained per round, is 1 + the sum of the rates. In rounds in which the text ended,
    the last token stands for the backbone's own, so that this holds there too.
    """
    count, positions = sum(rounds.values()), range(1, max((one.drafted for one in rounds), default=0) + 1)
    accepted = [sum(times for one, times in rounds.items() if one.taken > position) for position in positions]
    drafted = [sum(times for one, times in rounds.items() if one.drafted >= position) for position in positions]
    rates = [found / count for found in accepted]
    return {
        "rounds": count,
        "drafted": drafted,
        "accepted": accepted,
        "rates": rates,
        "mean_accepted_length": sum(one.taken * times for one, times in rounds.items()) / count if count else None,
        "decay": decay(rates),
    }


def decay(rates: Sequence[float]) -> float | None:
    """The factor per position of an exponential fitted to the rates (least squares of their logarithms)."""
    points = [(position, math.log(rate)) for position, rate in enumerate(rates) if rate > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return math.exp(slope)
