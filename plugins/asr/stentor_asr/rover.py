"""ROVER: several transcripts of the same audio, aligned and voted on word by word (Fiscus 1997, ASRU)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Slot = tuple[int | None, ...]
"""A position of the network: for each system the index of its word there, None where it has none."""


@dataclass(frozen=True)
class Vote:
    """What a vote found.

    Attributes:
        words: kept, because enough systems say them.
        positions: of the network.
        disagreed: positions at which too few say the same, a word or nothing.
    """

    words: tuple[str, ...]
    positions: int
    disagreed: int

    @property
    def disagreement(self) -> float:
        """Disagreed positions over all units of the text, the kept words and the disagreed ones (arXiv 2605.23463)."""
        return self.disagreed / max(1, len(self.words) + self.disagreed)


def network(transcripts: Sequence[Sequence[str]]) -> list[Slot]:
    """Transcripts aligned one after another into a network of positions.

    A word costs nothing where any system before has said it, and 1 elsewhere; passing over a position costs nothing
    where a system before has done so, else 1; a new position costs 1. Of equal alignments the one is taken whose new
    positions come first.
    """
    slots: list[Slot] = []
    for number, words in enumerate(transcripts):
        placed = _placed(slots, transcripts, words)
        slots = [(*(slots[at] if at is not None else (None,) * number), word) for at, word in placed]
    return slots


def vote(transcripts: Sequence[Sequence[str]], *, agree: int = 2) -> Vote:
    """Vote at every position; a word is kept, or a position left out, where it wins and `agree` systems say so.

    The winner is what most systems say, a word or nothing; of a tie, what the earlier system says. Confidences have no
    vote: those of different recognisers are not on one scale.

    Args:
        transcripts: words of each system.
        agree: how many systems have to say the same.
    """
    slots = network(transcripts)
    words: list[str] = []
    disagreed = 0
    for slot in slots:
        said = [None if i is None else transcripts[system][i] for system, i in enumerate(slot)]
        winner = max(dict.fromkeys(said), key=said.count)
        if said.count(winner) < agree:
            disagreed += 1
        elif winner is not None:
            words.append(winner)
    return Vote(tuple(words), len(slots), disagreed)


def _placed(
    slots: Sequence[Slot], transcripts: Sequence[Sequence[str]], words: Sequence[str]
) -> list[tuple[int | None, int | None]]:
    """Pairs (position or None for a new one, index of the word or None where the position is passed over)."""
    moves = _moves(*_costs(slots, transcripts, words))
    placed: list[tuple[int | None, int | None]] = []
    i, j = len(slots), len(words)
    while i or j:
        move = moves[i, j] if i and j else (1 if i else 2)
        i, j = i - (move != 2), j - (move != 1)
        placed.append((None if move == 2 else i, None if move == 1 else j))
    return placed[::-1]


def _costs(
    slots: Sequence[Slot], transcripts: Sequence[Sequence[str]], words: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Of saying word j at position i, int64 [S, W], and of passing over position i [S]."""
    places: dict[str, list[int]] = {}
    for j, word in enumerate(words):
        places.setdefault(word, []).append(j)
    saying = np.ones((len(slots), len(words)), np.int64)
    passing = np.array([int(None not in slot) for slot in slots], np.int64)
    for i, slot in enumerate(slots):
        for system, index in enumerate(slot):
            if index is not None:
                saying[i, places.get(transcripts[system][index], [])] = 0
    return saying, passing


def _moves(saying: np.ndarray, passing: np.ndarray) -> np.ndarray:
    """Best last move into every cell, uint8 [S + 1, W + 1]: 0 a word at a position, 1 one passed over, 2 a new one."""
    columns = np.arange(saying.shape[1] + 1)
    moves, above = np.empty((len(saying) + 1, len(columns)), np.uint8), columns
    for i, (row, over) in enumerate(zip(saying, passing, strict=True), start=1):
        both, skipped = above[:-1] + row, above + over
        best = np.concatenate((skipped[:1], np.minimum(both, skipped[1:])))
        # new positions chain along the row: min over k <= j of best[k] + (j - k)
        reached = np.minimum.accumulate(best - columns) + columns
        moves[i, 1:] = np.where(reached[1:] == both, 0, np.where(reached[1:] == skipped[1:], 1, 2))
        above = reached
    return moves
