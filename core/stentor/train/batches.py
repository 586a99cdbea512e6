"""The data of a run: rows of the manifests, frames from the cache or audio from files, in resumable batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stentor.data import audio, manifest
from stentor.data.augment.settings import AugmentSettings
from stentor.data.augment.waveform import Augment
from stentor.data.cache import FrameCache, default_folder
from stentor.data.check import Needs, check
from stentor.data.loader import Loader, Reader, Sampler, select
from stentor.data.sampler import BucketingSampler, Draw
from stentor.data.settings import DataSettings
from stentor.data.streaming import StreamingSampler
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.task import Task

_MOST_OPENED = 20_000


def training_rows(settings: DataSettings) -> list[Utterance]:
    """The training utterances, none if they are to be streamed; what is left out is told in one line.

    Raises:
        StentorError: when no manifest is named, or none of its rows can be used.
    """
    if not settings.train:
        raise StentorError("it must name the manifest to train on.", path="data.train")
    if settings.streaming:
        return []
    kept, left_out = select(manifest.load(settings.train), settings)
    if left_out:
        told = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        print(f"left out of {settings.train}: {told}", flush=True)
    if not kept:
        raise StentorError("none of its utterances has an admitted length.", path="data.train", value=settings.train)
    return kept


def check_data(settings: DataSettings, sample_rate: int) -> None:
    """Look at manifests and headers of audio files before anything else, and tell in plain words what was found.

    A streamed set is not looked at, and the files of a large one are not opened.

    Raises:
        StentorError: with everything that makes training impossible.
    """
    named = {name: path for name, path in (("train", settings.train), ("valid", settings.valid)) if path}
    if settings.streaming:
        return
    sizes = [sum(1 for _ in manifest.rows(path, check_audio=False)) for path in named.values()]
    needs = Needs(
        text=False,
        sample_rate=sample_rate,
        min_duration=settings.min_duration,
        max_duration=settings.max_duration,
        audio="header" if sum(sizes) <= _MOST_OPENED else "none",
    )
    report = check(named, needs)
    print("\n".join(report.lines()), flush=True)
    report.raise_errors()


def training_texts(settings: DataSettings, rows: list[Utterance]) -> list[str]:
    """Transcripts to train tokenizers on; of a streamed set, the first 100,000."""
    if settings.streaming:
        streamed = (row for row in manifest.rows(settings.train, check_audio=False) if isinstance(row, Utterance))
        return [row.text or "" for row in islice(streamed, 100_000)]
    return [row.text or "" for row in rows]


class Batches:
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
        self.settings, self.rows, self.seed, self.progress = settings, rows, seed, progress
        self.valid = manifest.load(settings.valid) if settings.valid else []
        self.read = partial(read_audio, sample_rate=task.sample_rate)
        self.sample_rate, self.heard = task.sample_rate, task.hears_cached
        self.augment = Augment(settings.augment) if _varies(settings.augment) else None
        self.cache: FrameCache | None = None
        self.loader: Loader | None = None
        encoder = task.cached_encoder() if settings.cache and not settings.streaming else None
        if encoder is not None and self.augment:
            print("the frozen encoder runs in every step: augmented audio cannot be cached", flush=True)
        elif encoder is not None:
            folder = default_folder(Path(settings.train), settings.cache_folder)
            self.cache = FrameCache(folder, encoder, configuration, precision=settings.cache_precision)

    def prepare(self) -> None:
        """Fill the cache; called in one process only."""
        if self.cache is not None:
            self.cache.build([*self.rows, *self.valid], self.read, progress=self.progress)

    def training(self, at: dict[str, int], *, rank: int = 0, world: int = 1) -> Loader:
        """Endless batches of one of `world` processes, from place `at` on."""
        if self.cache is not None:
            self.cache.missing([])
        sampler: Sampler
        if self.settings.streaming:
            sampler = StreamingSampler(self.settings, seed=self.seed, rank=rank, world=world)
        else:
            sampler = BucketingSampler(
                np.array([row.duration for row in self.rows]) * self._stretch(),
                self.settings.batch_seconds,
                max_items=self.settings.max_items,
                seed=self.seed,
                shuffle=self.settings.shuffle,
                rank=rank,
                world=world,
            )
        self.loader = Loader(self._reader(self.rows, self.augment), sampler, workers=self.settings.workers)
        self.loader.load_state_dict(at)
        return self.loader

    def rejected(self) -> list[Rejected]:
        """What could not be read, and why."""
        failed = (self.loader.failed if self.loader else {}) | (self.cache.failures if self.cache else {})
        return [Rejected(name, reason) for name, reason in failed.items()]

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

    def _reader(self, rows: list[Utterance], augment: Augment | None = None) -> Reader:
        read = self.read if self.cache is None or self.heard else None
        return Reader(rows, read, frames=self.cache, augment=augment, sample_rate=self.sample_rate, seed=self.seed)

    def _stretch(self) -> float:
        """How much longer augmentation may make an utterance."""
        return 1 / min([1.0, *self.settings.augment.speeds])


def _varies(settings: AugmentSettings) -> bool:
    return bool(settings.speeds or settings.noise or settings.codec)


def read_audio(utterance: Utterance, *, sample_rate: int) -> Tensor:
    """Waveform float32 [N] of an utterance at `sample_rate` (Hz); nothing of text alone."""
    if not utterance.audio:
        return torch.zeros(0)
    wave = audio.read(utterance.audio, sample_rate, utterance.start, utterance.duration, utterance.channel)
    return torch.from_numpy(wave)
