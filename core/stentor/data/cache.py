"""Outputs of a frozen encoder on disk, so that from the second epoch on reading is all they cost."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from stentor.data.atomic import replacing
from stentor.data.collate import pad
from stentor.data.sampler import BucketingSampler
from stentor.data.utterance import Utterance
from stentor.errors import StentorError

Read = Callable[[Utterance], Tensor]

_BATCH_SECONDS = 20.0
_SHARD_SECONDS = 900.0
"""Audio in one shard (s): what a kill while building loses at most."""
_TYPES = {"fp16": np.float16, "fp32": np.float32}


class FrameCache:
    """Frames [T, D] by utterance, in memory-mapped shards.

    A shard is an array ``NAME.npy`` [sum of T, D] and an index ``NAME.json``. The index is written last and by
    renaming, so a shard is there whole or not at all, and several processes may build at once.

    Args:
        folder: where the caches of all encoders lie; each has its own folder in it, named by a hash of the encoder's
            class, source, weights and configuration, and of `precision`.
        encoder: frozen; waveforms [B, N] and lengths [B] to frames [B, T, D] and lengths [B].
        configuration: what the encoder was built with.
        precision: ``fp16`` or ``fp32``, as stored; what is read is always float32.
    """

    def __init__(
        self, folder: Path, encoder: nn.Module, configuration: Mapping[str, Any], *, precision: str = "fp16"
    ) -> None:
        self.encoder, self.precision = encoder, precision
        self.folder = folder / _identity(encoder, configuration, precision)[:16]
        self.failures: dict[str, str] = {}
        self._rows: dict[str, tuple[str, int, int]] = {}
        self._maps: dict[str, np.ndarray] = {}
        self._stats: dict[str, str] = {}
        self._shards: set[str] = set()

    def missing(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """The utterances whose frames are not on disk, one of each stretch; looks for shards that others have added."""
        for index in self.folder.glob("*.json"):
            if index.stem not in self._shards:
                self._shards.add(index.stem)
                rows = json.loads(index.read_text())
                self._rows |= {key: (index.stem, first, count) for key, (first, count) in rows.items()}
        wanted = {key: utterance for utterance in utterances if (key := self._key(utterance)) not in self._rows}
        return list(wanted.values())

    def build(self, utterances: Sequence[Utterance], read: Read, *, progress: bool = True) -> None:
        """Encode what is missing, shard by shard; after a kill it goes on with the next shard.

        Args:
            utterances: the set.
            read: waveform float [N] of an utterance at the encoder's sample rate.
            progress: whether to show a bar.

        Raises:
            StentorError: when the disk refuses, or no utterance can be read.
        """
        missing = self.missing(utterances)
        seconds = sum(utterance.duration for utterance in missing)
        with (
            _ready(self.encoder) as device,
            tqdm(total=round(seconds), unit="s", desc="encoding", disable=not (progress and missing)) as bar,
        ):
            for group in _shards(missing):
                self._write(group, read, device, bar)
        self.missing([])
        if missing and not any(self._key(utterance) in self._rows for utterance in utterances):
            name, reason = next(iter(self.failures.items()))
            raise StentorError(f"no utterance could be encoded; the first, '{name}': {reason}")

    def __call__(self, utterance: Utterance) -> Tensor:
        """Frames float32 or float16 [T, D] of one utterance.

        Raises:
            StentorError: when it could not be encoded.
        """
        place = self._rows.get(self._key(utterance))
        if place is None:
            raise StentorError(self.failures.get(utterance.id, "its frames are not in the cache."), path=utterance.id)
        shard, first, count = place
        if shard not in self._maps:
            self._maps[shard] = np.load(self.folder / f"{shard}.npy", mmap_mode="r", allow_pickle=False)
        return torch.from_numpy(np.array(self._maps[shard][first : first + count]))

    def _write(self, group: Sequence[Utterance], read: Read, device: torch.device, bar: Any) -> None:
        rows: dict[str, tuple[int, int]] = {}
        arrays: list[np.ndarray] = []
        first = 0
        for utterance, frames in self._encode(group, read, device, bar):
            rows[self._key(utterance)] = (first, len(frames))
            first += len(frames)
            arrays.append(frames)
        if not arrays:
            return
        name = uuid.uuid4().hex
        with replacing(self.folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.concatenate(arrays), allow_pickle=False)
        with replacing(self.folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(rows))

    def _encode(
        self, group: Sequence[Utterance], read: Read, device: torch.device, bar: Any
    ) -> Iterator[tuple[Utterance, np.ndarray]]:
        """Frames of each utterance, encoded in batches of like length, several batches at a time."""
        durations = np.array([utterance.duration for utterance in group])
        plan = BucketingSampler(durations, _BATCH_SECONDS, shuffle=False).plan(0)
        jobs = [[group[row] for row in batch.tolist()] for batch in plan]
        with _workers(device) as pool:
            for job, made in zip(jobs, pool.map(lambda job: self._batch(job, read, device), jobs), strict=True):
                yield from made
                bar.update(round(sum(utterance.duration for utterance in job)))

    @torch.inference_mode()
    def _batch(self, job: list[Utterance], read: Read, device: torch.device) -> list[tuple[Utterance, np.ndarray]]:
        waves = [(utterance, wave) for utterance in job if (wave := self._wave(utterance, read)) is not None]
        if not waves:
            return []
        audio, lengths = pad([wave for _, wave in waves])
        frames, counts = self.encoder(audio.to(device), lengths.to(device))
        rows = zip(waves, frames, counts.tolist(), strict=True)
        return [(utterance, one[:n].cpu().numpy().astype(_TYPES[self.precision])) for (utterance, _), one, n in rows]

    def _wave(self, utterance: Utterance, read: Read) -> Tensor | None:
        try:
            return read(utterance)
        except StentorError as error:
            self.failures[utterance.id] = str(error)
            return None

    def _key(self, utterance: Utterance) -> str:
        """Changes with the file's path, size or time of change, and with the stretch of it."""
        stat = self._stats.get(utterance.audio)
        if stat is None:
            try:
                found = os.stat(utterance.audio)
                stat = f"{found.st_size} {found.st_mtime_ns}"
            except OSError:
                stat = "absent"
            self._stats[utterance.audio] = stat
        told = f"{utterance.audio} {stat} {utterance.start} {utterance.duration} {utterance.channel}"
        return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()


@contextmanager
def _ready(encoder: nn.Module) -> Iterator[torch.device]:
    """The encoder in evaluation mode, on the accelerator if there is one; put back afterwards."""
    training = encoder.training
    home = next((tensor.device for tensor in encoder.parameters()), torch.device("cpu"))
    device = torch.device("cuda") if torch.cuda.is_available() else home
    encoder.eval().to(device)
    try:
        yield device
    finally:
        encoder.train(training).to(home)


@contextmanager
def _workers(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """As many batches at a time as torch has threads, each on one: none waits for another's share of a product."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads if device.type == "cpu" else 1) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _shards(utterances: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    group: list[Utterance] = []
    seconds = 0.0
    for utterance in utterances:
        group.append(utterance)
        seconds += utterance.duration
        if seconds >= _SHARD_SECONDS:
            yield group
            group, seconds = [], 0.0
    if group:
        yield group


def _identity(encoder: nn.Module, configuration: Mapping[str, Any], precision: str) -> str:
    made = hashlib.sha256()
    cls = type(encoder)
    module = sys.modules[cls.__module__]
    source = inspect.getsource(module) if getattr(module, "__file__", None) else ""
    told = [cls.__module__, cls.__qualname__, source, precision, json.dumps(configuration, sort_keys=True, default=str)]
    made.update("\0".join(told).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return made.hexdigest()


def default_folder(manifest: Path, configured: str) -> Path:
    """Where frames are kept: as configured, else beside the manifest, else under ``~/.cache/stentor``."""
    if configured:
        return Path(configured).expanduser()
    beside = manifest.resolve().parent
    if os.access(beside, os.W_OK):
        return beside / "frames"
    return Path.home() / ".cache" / "stentor" / "frames"
