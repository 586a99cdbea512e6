"""When each token was said: Viterbi alignment of known tokens to CTC posteriors, batched, in NumPy.

Exact, as ``torchaudio.functional.forced_align``, ties included, in memory that does not grow with frames times tokens:
the forward pass keeps its scores at every K-th frame alone, and the way back computes the stretch between two of them
again, for the 2 K + 1 states from which the path can have come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

KEPT_BYTES = 64 * 2**20
"""The scores that the forward pass keeps are thinned out until they fit into this many bytes."""
_NEVER = np.float32(-np.inf)


@dataclass(frozen=True)
class Span:
    """Where a token was said: frames `start` up to but without `end`, and its mean log-probability over them."""

    start: int
    end: int
    score: float


def ctc_path(log_probs: Tensor, ids: Sequence[int], *, blank: int = 0) -> list[tuple[int, int]]:
    """First and last frame of each token of one utterance; the rest is as in `ctc_paths`, with `log_probs` [T, V]."""
    (spans,) = ctc_paths(log_probs[None], [len(log_probs)], [ids], blank=blank)
    return [(span.start, span.end - 1) for span in spans]


def ctc_paths(
    log_probs: Tensor, lengths: Sequence[int] | Tensor, targets: Sequence[Sequence[int]], *, blank: int = 0
) -> list[list[Span]]:
    """Best monotonic path of known tokens through CTC posteriors (Graves et al., 2006, section 4.1), row by row.

    Args:
        log_probs: float [B, T, V].
        lengths: valid frames of each row [B].
        targets: its tokens, in the posteriors' numbering, none of them the blank.
        blank: index of the blank.

    Returns:
        One span per token; none for a row that has too few frames to hold its tokens.
    """
    found: list[list[Span]] = [[] for _ in targets]
    sizes = [int(length) for length in lengths]
    rows = [row for row, ids in enumerate(targets) if 0 < len(ids) <= sizes[row]]
    if not rows:
        return found
    longest = max(sizes[row] for row in rows)
    # One frame of all rows lies together: every step reads one frame.
    frames = log_probs[rows, :longest].float().cpu().numpy().swapaxes(0, 1)
    lattice = _Lattice(np.ascontiguousarray(frames), [targets[row] for row in rows], blank)
    states, possible = lattice.paths(np.array([sizes[row] for row in rows]))
    for index, row in enumerate(rows):
        if possible[index]:
            path = states[: sizes[row], index]
            found[row] = _spans(path, lattice.emitted(index, path), len(targets[row]))
    return found


def _spans(path: np.ndarray, emitted: np.ndarray, tokens: int) -> list[Span]:
    states = 2 * np.arange(tokens) + 1
    starts, ends = np.searchsorted(path, states, "left"), np.searchsorted(path, states, "right")
    sums = np.concatenate([[0.0], np.cumsum(emitted, dtype=np.float64)])
    scores = (sums[ends] - sums[starts]) / (ends - starts)
    return [Span(*span) for span in zip(starts.tolist(), ends.tolist(), scores.tolist(), strict=True)]


class _Lattice:
    """States blank, token, ..., blank of each row [B, S]; a row's own lie at its left, the rest is never used."""

    def __init__(self, frames: np.ndarray, targets: Sequence[Sequence[int]], blank: int) -> None:
        self.frames = frames
        self.last = np.array([2 * len(ids) for ids in targets])
        symbols = np.full((len(targets), int(self.last.max()) + 1), blank)
        for row, ids in zip(symbols, targets, strict=True):
            row[1 : 2 * len(ids) : 2] = ids
        self.symbols = symbols
        self.jump = np.full(symbols.shape, _NEVER)
        self.jump[:, 3::2][symbols[:, 3::2] != symbols[:, 1:-2:2]] = 0.0
        self.rows = np.arange(len(targets))

    def emitted(self, row: int, path: np.ndarray) -> np.ndarray:
        """Log-probability of each frame along a path of states [T]."""
        return self.frames[np.arange(len(path)), row, self.symbols[row, path]]

    def paths(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The state of every frame [T, B], and which rows have a path at all [B]."""
        size = self.symbols.size * 4 * len(self.frames)
        every = max(math.isqrt(len(self.frames)) + 1, math.ceil(size / KEPT_BYTES))
        kept, final = self._forward(lengths, every)
        ends = final[self.rows[:, None], self.last[:, None] - [0, 1]]
        state = np.where(ends[:, 0] > ends[:, 1], self.last, self.last - 1)
        states = np.zeros(self.frames.shape[:2], np.int32)
        states[lengths - 1, self.rows] = state
        for block in range(len(kept) - 1, -1, -1):
            self._back(kept[block], block * every, min((block + 1) * every, len(self.frames) - 1), lengths, states)
        return states, np.isfinite(ends.max(1))

    def _forward(self, lengths: np.ndarray, every: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Scores [B, S] of every K-th frame, and of the last frame of each row."""
        score = np.full((len(self.rows), self.symbols.shape[1] + 2), _NEVER, np.float32)
        score[:, 2:4] = self.frames[0][self.rows[:, None], self.symbols[:, :2]]
        kept, final = [], score[:, 2:].copy()
        step = _Step(self.symbols, self.jump, self.frames.shape[2])
        for frame in range(len(self.frames)):
            if frame:
                step(score, self.frames[frame])
            if frame % every == 0:
                # What all states have in common changes no path, but in an hour it would cost the last digits.
                score -= np.maximum(score.max(1, keepdims=True), np.finfo(np.float32).min) if frame else 0.0
                kept.append(score[:, 2:].copy())
            done = lengths == frame + 1
            if done.any():
                final[done] = score[done, 2:]
        return kept, final

    def _back(self, score: np.ndarray, first: int, last: int, lengths: np.ndarray, states: np.ndarray) -> None:
        """Fill in `states` before frame `last` and from `first` on, from scores [B, S] of frame `first`."""
        until = np.minimum(lengths - 1, last)
        rows = self.rows[until > first]
        if not len(rows):
            return
        # Column c of a row is state low + c; the path cannot have come from further left.
        low = states[until[rows], rows] - 2 * (last - first)
        places = low[:, None] + np.arange(2 * (last - first) + 1)
        inside = np.clip(places, 0, self.symbols.shape[1] - 1)
        window = np.full((len(rows), places.shape[1] + 2), _NEVER, np.float32)
        window[:, 2:] = np.where(places < 0, _NEVER, score[rows[:, None], inside])
        symbols = self.symbols[rows[:, None], inside]
        step = _Step(symbols, np.where(places < 0, _NEVER, self.jump[rows[:, None], inside]), self.frames.shape[2])
        moves = np.empty((last - first, *symbols.shape), np.uint8)
        for frame in range(first + 1, last + 1):
            step(window, self.frames[frame][rows], moves[frame - first - 1])
        column = states[until[rows], rows] - low
        order = np.arange(len(rows))
        for frame in range(last, first, -1):
            column = column - np.where(frame <= until[rows], moves[frame - first - 1, order, column], 0)
            going = frame <= until[rows]
            states[frame - 1, rows[going]] = (column + low)[going]


class _Step:
    """One frame of the recursion, in place, over scores [B, 2 + S] whose first two columns stay at minus infinity."""

    def __init__(self, symbols: np.ndarray, jump: np.ndarray, size: int) -> None:
        self.places = symbols + size * np.arange(len(symbols))[:, None]
        self.jump, self.best, self.emitted = jump, np.empty_like(jump), np.empty_like(jump)

    def __call__(self, score: np.ndarray, frame: np.ndarray, moves: np.ndarray | None = None) -> None:
        stay, one, best = score[:, 2:], score[:, 1:-1], self.best
        np.add(score[:, :-2], self.jump, out=best)
        if moves is not None:
            two = best > np.maximum(one, stay)
            np.greater(one, stay, out=moves, casting="unsafe")
            moves[two] = 2
        np.maximum(best, one, out=best)
        np.maximum(best, stay, out=best)
        np.take(frame.reshape(-1), self.places, out=self.emitted, mode="clip")
        np.add(best, self.emitted, out=stay)
