"""Batches of utterances of like length within a budget of padded seconds, planned epoch by epoch with numpy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stentor.data.utterance import Utterance
from stentor.errors import StentorError

Rows = NDArray[np.int64]

_LIKE = 0.01
"""Lengths within 1 % of each other count as equal and are shuffled among each other."""


class Draw(NamedTuple):
    """One batch to be read: its place in the run, and its rows in the set, or the utterances themselves."""

    epoch: int
    position: int
    rows: Rows
    utterances: tuple[Utterance, ...] = ()


class BucketingSampler:
    """Endless batches over a set whose lengths are all known.

    Every epoch sorts the set by length (lengths within 1 % are shuffled), cuts it where the next row would break the
    budget, and shuffles the batches. An epoch is a function of seed and epoch number alone, so the state is two numbers
    and restoring costs one plan, however far the run had come.

    Args:
        durations: length of every row (s).
        budget: most padded seconds in a batch, rows times the longest row; a row longer than that stands alone.
        max_items: most rows in a batch; 0 means no limit.
        seed: of the shuffling.
        shuffle: False keeps the batches in order of length.
        rank: which of `world` processes this is; each has its own batches, as many as the others, of like length.
        world: how many processes train.
    """

    def __init__(
        self,
        durations: NDArray[np.floating[Any]],
        budget: float,
        *,
        max_items: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.durations = np.ascontiguousarray(durations, dtype=np.float64)
        if not len(self.durations):
            raise StentorError("there is no utterance to draw batches from.", path="data.train")
        self.budget, self.max_items = budget, max_items
        self.seed, self.shuffle, self.rank, self.world = seed, shuffle, rank, world
        self.epoch, self.position = 0, 0
        floor = np.maximum(self.durations, 1e-3)
        self._alike = np.minimum(np.log(floor / floor.min()) / _LIKE, 32767).astype(np.int16)

    def plan(self, epoch: int) -> list[Rows]:
        """The batches of this rank in `epoch`, in order."""
        random = np.random.default_rng((self.seed, epoch))
        rows = random.permutation(len(self.durations)) if self.shuffle else np.arange(len(self.durations))
        key = self._alike if self.shuffle else self.durations
        rows = rows[np.argsort(key[rows], kind="stable")]
        first = self.budget * (random.uniform(0.2, 1.0) if self.shuffle else 1.0)
        batches = np.split(rows, self._cuts(rows, first))
        return [batches[index] for index in self._own(len(batches), random)]

    def _cuts(self, rows: Rows, first: float) -> list[int]:
        """Where each batch but the first begins; `first` is the budget of the first, so that cuts move every epoch."""
        longest = np.maximum.accumulate(self.durations[rows]).tolist()
        count, limit, cuts, start, budget = len(longest), self.max_items or len(longest), [], 0, first
        while start < count:
            most = min(int(budget / longest[start]) if longest[start] > 0 else limit, limit, count - start)
            sizes = range(1, most + 1)
            start += max(1, bisect_right(sizes, budget, key=lambda size: longest[start + size - 1] * size))
            budget = self.budget
            cuts.append(start)
        return cuts[:-1]

    def _own(self, batches: int, random: np.random.Generator) -> Rows:
        """Indices of this rank's batches: neighbours in length are trained on side by side."""
        groups = -(-batches // self.world)
        order = np.arange(groups) * self.world + self.rank
        return (order[random.permutation(groups)] if self.shuffle else order) % batches

    def __iter__(self) -> Iterator[Draw]:
        while True:
            batches = self.plan(self.epoch)
            while self.position < len(batches):
                rows = batches[self.position]
                self.position += 1
                yield Draw(self.epoch, self.position - 1, rows)
            self.epoch, self.position = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """The place of the next batch."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
