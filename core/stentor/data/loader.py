"""The resumable loader: draws of the sampler to batches, in this process or in workers, the same either way."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stentor.data.collate import collate
from stentor.data.sampler import Draw
from stentor.data.settings import DataSettings
from stentor.data.utterance import Utterance
from stentor.errors import StentorError

Read = Callable[[Utterance], Tensor]
Augment = Callable[[Tensor, int, np.random.Generator], Tensor]

_PATIENCE = 20
"""Batches in a row without one readable utterance before training gives up."""


class Sampler(Protocol):
    """Endless draws with a state."""

    def __iter__(self) -> Iterator[Draw]: ...

    def state_dict(self) -> dict[str, int]: ...

    def load_state_dict(self, state: dict[str, int]) -> None: ...


class Reader(Dataset[dict[str, Any]]):
    """Reads, augments and collates the rows of a draw; the result is a function of the draw alone.

    Args:
        utterances: the set, by row.
        read: waveform float [N] of one utterance; None where there are frames, and they are enough.
        frames: encoder frames [T, D] of one utterance.
        augment: waveform, sample rate (Hz) and random source to waveform.
        sample_rate: of the waveforms (Hz).
        seed: of the augmentation; every utterance has its own source in every epoch, so that workers do not matter.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        read: Read | None,
        *,
        frames: Read | None = None,
        augment: Augment | None = None,
        sample_rate: int = 16000,
        seed: int = 0,
    ) -> None:
        self.utterances, self.read, self.frames = utterances, read, frames
        self.augment, self.sample_rate, self.seed = augment, sample_rate, seed

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """The batch of `draw`; unreadable utterances are left out and listed under ``failures`` with the reason."""
        kept, waves, frames, failures = [], [], [], []
        for utterance in draw.utterances or [self.utterances[row] for row in draw.rows.tolist()]:
            try:
                wave = None if self.read is None else self.read(utterance)
                coded = None if self.frames is None else self.frames(utterance)
            except StentorError as error:
                failures.append((utterance.id, str(error)))
                continue
            if self.augment is not None and wave is not None:
                source = np.random.default_rng((self.seed, draw.epoch, zlib.crc32(utterance.id.encode())))
                wave = self.augment(wave, self.sample_rate, source)
            kept.append(utterance)
            waves += [] if wave is None else [wave]
            frames += [] if coded is None else [coded]
        batch = collate(kept, None if self.read is None else waves, None if self.frames is None else frames)
        batch["next"] = {"epoch": draw.epoch, "position": draw.position + 1}
        batch["failures"] = failures
        return batch


class Loader:
    """Endless batches, each of which says under ``next`` where to go on after it.

    What has been read ahead does not count: the state to save is that of the last batch that was used.

    Args:
        reader: makes batches of draws.
        sampler: gives the draws.
        workers: processes that read; 0 reads here.
    """

    def __init__(self, reader: Reader, sampler: Sampler, *, workers: int = 0) -> None:
        self.reader, self.sampler, self.workers = reader, sampler, workers
        self.failed: dict[str, str] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        empty = 0
        for batch in self._batches():
            self._report(batch.pop("failures"))
            empty = 0 if batch["ids"] else empty + 1
            if empty > _PATIENCE:
                last = next(reversed(self.failed.values()))
                raise StentorError(f"none of the last {empty} batches could be read; the last reason: {last}")
            if batch["ids"]:
                yield batch

    def _batches(self) -> Iterable[dict[str, Any]]:
        if not self.workers:
            return map(self.reader.__getitem__, self.sampler)
        return DataLoader(
            self.reader,
            batch_size=None,
            sampler=self.sampler,
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(0),
        )

    def _report(self, failures: Sequence[tuple[str, str]]) -> None:
        for name, reason in failures:
            if name not in self.failed:
                warnings.warn(f"utterance '{name}' is left out: {reason}", stacklevel=2)
            self.failed[name] = reason

    def state_dict(self) -> dict[str, int]:
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state` says, in time that does not depend on how far that is."""
        self.sampler.load_state_dict(state)


def select(utterances: Iterable[Utterance], settings: DataSettings) -> tuple[list[Utterance], dict[str, int]]:
    """The utterances that `settings` admit, and how many were left out for which reason.

    Where some have a transcript, those that have none are left out.
    """
    utterances = list(utterances)
    kept: list[Utterance] = []
    left_out = {"too short": 0, "too long": 0, "longer than a batch": 0, "without a transcript": 0}
    longest = settings.max_duration or float("inf")
    transcribed = any(utterance.text is not None for utterance in utterances)
    for utterance in utterances:
        if utterance.duration < settings.min_duration:
            left_out["too short"] += 1
        elif utterance.duration > longest:
            left_out["too long"] += 1
        elif transcribed and utterance.text is None:
            left_out["without a transcript"] += 1
        elif settings.overlong == "reject" and utterance.duration > settings.batch_seconds:
            left_out["longer than a batch"] += 1
        else:
            kept.append(utterance)
    return kept, {reason: count for reason, count in left_out.items() if count}
