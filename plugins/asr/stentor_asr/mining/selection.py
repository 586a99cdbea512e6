"""Choosing by hours: the hardest first, as long as the budget holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SHOWN = 3
_MASS = 0.5
_GAP = 0.15  # s


@dataclass(frozen=True)
class Judged:
    """One utterance of the pool and what the miner found.

    Attributes:
        id: of the utterance.
        seconds: its length (s).
        hardness: the ranker's verdict; the higher, the harder.
        confidence: of the recogniser, 0 to 1.
        entropy: of its posteriors (nats).
        attended: (start, end, share of the attention) of the stretches that the ranker looked at most (s).
        hypothesis: what the recogniser wrote.
        quality: measures of the audio.
        flags: why it cannot be transcribed, if so.
    """

    id: str
    seconds: float
    hardness: float
    confidence: float
    entropy: float
    attended: tuple[tuple[float, float, float], ...]
    hypothesis: str
    quality: dict[str, float]
    flags: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Judged:
        """From plain data, as `dataclasses.asdict` and JSON leave it."""
        attended = tuple((start, end, share) for start, end, share in row["attended"])
        return cls(**{**row, "attended": attended, "flags": tuple(row["flags"])})


@dataclass(frozen=True)
class Choice:
    """A selected utterance: its rank in the pool (1 is the hardest) and whether it was drawn at random instead."""

    judged: Judged
    rank: int
    drawn: bool = False


def choose(
    pool: Sequence[Judged], seconds: float, *, guard: bool = True, drawn: float = 0.0, seed: int = 0
) -> list[Choice]:
    """The hardest utterances that a budget of audio holds; what does not fit is passed over.

    Args:
        pool: every judged utterance.
        seconds: the budget (s); never exceeded.
        guard: whether garbage is left out.
        drawn: share of the budget that is filled at random from the rest of the pool, 0 to 1.
        seed: of that draw.

    Returns:
        The hardest, in order, then the drawn ones in the order of the draw.
    """
    order = sorted((one for one in pool if not (guard and one.flags)), key=lambda one: (-one.hardness, one.id))
    ranked = [Choice(one, rank) for rank, one in enumerate(order, 1)]
    hard = _fill(ranked, seconds * (1 - drawn))
    if not drawn:
        return hard
    taken = {choice.judged.id for choice in hard}
    rest = sorted((choice for choice in ranked if choice.judged.id not in taken), key=lambda one: one.judged.id)
    random.Random(seed).shuffle(rest)
    left = seconds - sum(choice.judged.seconds for choice in hard)
    return hard + [Choice(one.judged, one.rank, drawn=True) for one in _fill(rest, left)]


def _fill(choices: Sequence[Choice], seconds: float) -> list[Choice]:
    left, found = seconds, []
    for choice in choices:
        if choice.judged.seconds <= left:
            left -= choice.judged.seconds
            found.append(choice)
    return found


def attended(times: Sequence[tuple[float, float]], weights: Sequence[float]) -> tuple[tuple[float, float, float], ...]:
    """The stretches with the most attention: those that hold half of it together, at most three, in order of time.

    Args:
        times: start and end of each instance (s).
        weights: its attention.
    """
    left, kept = _MASS * sum(weights), []
    for index in sorted(range(len(weights)), key=lambda index: -weights[index]):
        if left <= 0:
            break
        left -= weights[index]
        kept.append(index)
    merged: list[list[float]] = []
    for index in sorted(kept):
        (start, end), weight = times[index], weights[index]
        if merged and start - merged[-1][1] <= _GAP:
            merged[-1][1], merged[-1][2] = max(end, merged[-1][1]), merged[-1][2] + weight
        else:
            merged.append([start, end, weight])
    largest = sorted(sorted(merged, key=lambda one: -one[2])[:_SHOWN])
    return tuple((round(start, 3), round(end, 3), round(share, 3)) for start, end, share in largest)
