"""The data of a run: rows of the manifests, frames from the cache or audio from files, in resumable batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from stentor.data import audio, manifest
from stentor.data.cache import FrameCache, default_folder
from stentor.data.loader import Loader, Reader, select
from stentor.data.sampler import BucketingSampler, Draw
from stentor.data.settings import DataSettings
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.task import Task


def training_rows(settings: DataSettings) -> list[Utterance]:
    """The training utterances; what is left out is told in one line.

    Raises:
        StentorError: when no manifest is named, or none of its rows can be used.
    """
    if not settings.train:
        raise StentorError("it must name the manifest to train on.", path="data.train")
    kept, left_out = select(manifest.load(settings.train), settings)
    if left_out:
        told = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        print(f"left out of {settings.train}: {told}", flush=True)
    if not kept:
        raise StentorError("none of its utterances has an admitted length.", path="data.train", value=settings.train)
    return kept


class Batches(LightningDataModule):
    """Training batches and validation batches.

    Args:
        task: says the sample rate, and which encoder's outputs may be cached.
        settings: section ``data``.
        rows: what `training_rows` gave.
        configuration: sections of the task's encoders, which a cache is keyed by.
        seed: of shuffling and augmentation.
        progress: whether building the cache shows a bar.
    """

    def __init__(
        self,
        task: Task,
        settings: DataSettings,
        rows: list[Utterance],
        configuration: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        super().__init__()
        self.settings, self.rows, self.seed, self.progress = settings, rows, seed, progress
        self.valid = manifest.load(settings.valid) if settings.valid else []
        self.next: dict[str, int] = {"epoch": 0, "position": 0}
        self.read = partial(read_audio, sample_rate=task.sample_rate)
        self.sample_rate = task.sample_rate
        self.cache: FrameCache | None = None
        encoder = task.cached_encoder() if settings.cache else None
        if encoder is not None:
            folder = default_folder(Path(settings.train), settings.cache_folder)
            self.cache = FrameCache(folder, encoder, configuration, precision=settings.cache_precision)

    def prepare_data(self) -> None:
        """Fill the cache; Lightning calls this in one process only."""
        if self.cache is not None:
            self.cache.build([*self.rows, *self.valid], self.read, progress=self.progress)

    def setup(self, stage: str) -> None:
        if self.cache is not None:
            self.cache.missing([])

    def train_dataloader(self) -> Loader:
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        sampler = BucketingSampler(
            np.array([row.duration for row in self.rows]),
            self.settings.batch_seconds,
            max_items=self.settings.max_items,
            seed=self.seed,
            shuffle=self.settings.shuffle,
            rank=rank,
            world=world,
        )
        loader = Loader(self._reader(self.rows), sampler, workers=self.settings.workers)
        loader.load_state_dict(self.next)
        return loader

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, dataloader_idx: int) -> Any:
        if device.type == "cpu":
            return batch
        return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}

    def validation(self, items: int | None = None) -> Iterator[dict[str, Any]]:
        """Batches of the validation set, the same every time; `items` chooses so many of its utterances."""
        chosen = np.random.default_rng(0).permutation(len(self.valid))[:items]
        rows = [self.valid[index] for index in sorted(chosen.tolist())]
        if rows:
            reader = self._reader(rows)
            durations = np.array([row.duration for row in rows])
            plan = BucketingSampler(
                durations, self.settings.batch_seconds, max_items=self.settings.max_items, shuffle=False
            )
            for position, batch in enumerate(plan.plan(0)):
                found = reader[Draw(0, position, batch)]
                if found["ids"]:
                    yield found

    def _reader(self, rows: list[Utterance]) -> Reader:
        read = self.cache or self.read
        return Reader(rows, read, frames=self.cache is not None, sample_rate=self.sample_rate, seed=self.seed)


def read_audio(utterance: Utterance, *, sample_rate: int) -> Tensor:
    """Waveform float32 [N] of an utterance at `sample_rate` (Hz)."""
    wave = audio.read(utterance.audio, sample_rate, utterance.start, utterance.duration, utterance.channel)
    return torch.from_numpy(wave)
