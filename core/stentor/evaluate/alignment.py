"""Edit distance and the alignment behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One step of an alignment: equal or substituted (both sides), deleted (no output), inserted (no reference)."""

    reference: str | None
    output: str | None

    @property
    def kind(self) -> str:
        """``equal``, ``substitution``, ``insertion`` or ``deletion``."""
        if self.reference is None:
            return "insertion"
        if self.output is None:
            return "deletion"
        return "equal" if self.reference == self.output else "substitution"


def distance(reference: Sequence[Hashable], output: Sequence[Hashable]) -> int:
    """Levenshtein distance of two sequences, all three edits at cost 1.

    Bit-parallel over Python's long integers: one step per output token, whatever the reference's length. Myers 1999, in
    the form of Hyyrö 2003, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances".
    """
    size = len(reference)
    if not size:
        return len(output)
    full, last = (1 << size) - 1, 1 << (size - 1)
    places: dict[Hashable, int] = {}
    for index, token in enumerate(reference):
        places[token] = places.get(token, 0) | 1 << index
    plus, minus, score = full, 0, size
    for token in output:
        match = places.get(token, 0)
        zero = (((match & plus) + plus) ^ plus) | match | minus
        up, down = minus | ~(zero | plus) & full, zero & plus
        score += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & full
        plus, minus = (down << 1 | ~(zero | up)) & full, up & zero
    return score


def align(reference: Sequence[str], output: Sequence[str]) -> list[Step]:
    """A cheapest alignment; among equals, substitutions are preferred to a deletion with an insertion.

    Memory is one byte per pair of tokens.
    """
    moves = _moves(*_as_numbers(reference, output))
    steps: list[Step] = []
    i, j = len(reference), len(output)
    while i or j:
        move = moves[i, j] if i and j else (1 if i else 2)
        i, j = i - (move != 2), j - (move != 1)
        steps.append(Step(None if move == 2 else reference[i], None if move == 1 else output[j]))
    return steps[::-1]


def tally(steps: Sequence[Step]) -> Counter[str]:
    """How many steps of each kind."""
    return Counter(step.kind for step in steps)


def _as_numbers(reference: Sequence[str], output: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    numbers = {token: number for number, token in enumerate(dict.fromkeys([*reference, *output]))}
    return np.array([numbers[t] for t in reference], dtype=np.int64), np.array([numbers[t] for t in output], np.int64)


def _moves(reference: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Best last move into every cell, uint8 [R + 1, O + 1]: 0 both sides, 1 deletion, 2 insertion."""
    columns = np.arange(len(output) + 1)
    moves, above = np.empty((len(reference) + 1, len(columns)), np.uint8), columns
    for i, token in enumerate(reference, start=1):
        both = above[:-1] + (output != token)
        best = np.concatenate(([i], np.minimum(both, above[1:] + 1)))
        # insertions chain along the row: min over k <= j of best[k] + (j - k)
        row = np.minimum.accumulate(best - columns) + columns
        moves[i, 1:] = np.where(row[1:] == both, 0, np.where(row[1:] == above[1:] + 1, 1, 2))
        above = row
    return moves
