"""lhotse's dynamic bucketing for sets too large to list in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from stentor.data import manifest
from stentor.data.sampler import Draw
from stentor.data.settings import DataSettings
from stentor.errors import StentorError

_NOTHING = np.zeros(0, dtype=np.int64)


class StreamingSampler:
    """Endless batches by lhotse's ``DynamicBucketingSampler`` over a manifest that is read as it goes.

    Lengths are not known beforehand: batches waste more padding than `BucketingSampler`'s and may exceed the budget a
    little, and restoring reads the epoch again up to where it stopped, in time that grows with that.

    Args:
        settings: section ``data``.
        seed: of the shuffling.
        rank: which of `world` processes this is.
        world: how many processes train.
    """

    def __init__(self, settings: DataSettings, *, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        self.settings, self.seed, self.rank, self.world = settings, seed, rank, world
        self.epoch, self.position = 0, 0

    def _batches(self) -> Iterator[Draw]:
        from lhotse.dataset import DynamicBucketingSampler

        settings = self.settings
        cuts = manifest.cuts(Path(settings.train)).filter(lambda cut: _admitted(cut.duration, settings))
        sampler = DynamicBucketingSampler(
            cuts,
            max_duration=settings.batch_seconds,
            max_cuts=settings.max_items or None,
            shuffle=settings.shuffle,
            seed=self.seed,
            rank=self.rank,
            world_size=self.world,
        )
        sampler.set_epoch(self.epoch)
        for position, batch in enumerate(sampler):
            utterances = tuple(manifest.from_cut(cut) for cut in batch)
            yield Draw(self.epoch, position, _NOTHING, utterances)

    def __iter__(self) -> Iterator[Draw]:
        while True:
            drawn = -1
            for draw in islice(self._batches(), self.position, None):
                drawn = draw.position
                self.position = drawn + 1
                yield draw
            if drawn < 0 and self.position == 0:
                raise StentorError("there is no utterance to draw batches from.", path="data.train")
            self.epoch, self.position = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """The place of the next batch."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]


def _admitted(duration: float, settings: DataSettings) -> bool:
    longest = settings.max_duration or float("inf")
    if settings.overlong == "reject":
        longest = min(longest, settings.batch_seconds)
    return settings.min_duration <= duration <= longest
