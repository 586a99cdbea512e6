"""Checkpoint folders: written whole or not at all, checked when read, the newest sound one found after any kill."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stentor.data.atomic import sync, writing
from stentor.errors import StentorError

WEIGHTS, STATE, INDEX = "weights.safetensors", "state.pt", "checkpoint.json"
_PART = ".part"


@dataclass(frozen=True)
class Checkpoint:
    """A sound checkpoint on disk.

    Attributes:
        folder: holds weights, state and index.
        step: optimiser steps done.
        index: step, elapsed (s), where the loader goes on, metrics, and the hash of every file.
    """

    folder: Path
    step: int
    index: dict[str, Any]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    def state(self) -> dict[str, Any]:
        """Optimiser, random states and gradient scaler; read without unpickling anything but tensors and plain data.

        Raises:
            StentorError: when it holds anything else, or is no such file.
        """
        path = self.folder / STATE
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as cause:
            raise StentorError("it is damaged, or holds more than tensors and plain data.", path=str(path)) from cause
        if not isinstance(loaded, dict):
            raise StentorError("it does not hold the state of a training run.", path=str(path))
        return loaded


def write(
    folder: Path, index: dict[str, Any], state: dict[str, Any], save_weights: Callable[[Path], None]
) -> Checkpoint:
    """Write ``step-XXXXXXXX`` into `folder` under a temporary name, sync it, and rename it.

    Args:
        folder: of all checkpoints.
        index: must hold ``step``; hashes of the files are added.
        state: what goes to ``state.pt``.
        save_weights: writes the weights to the path it is given.

    Raises:
        StentorError: when the disk refuses; the checkpoints that were there stay.
    """
    final = place(folder, index["step"])
    part = folder / (final.name + _PART)
    with writing(final):
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            _save(part, index, state, save_weights)
            if final.exists():
                shutil.rmtree(final)
            os.replace(part, final)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync(folder)
    return Checkpoint(final, index["step"], index)


def _save(part: Path, index: dict[str, Any], state: dict[str, Any], save_weights: Callable[[Path], None]) -> None:
    try:
        save_weights(part / WEIGHTS)
        with (part / STATE).open("wb") as file:
            torch.save(state, file)
        index["sha256"] = {name: _hash(part / name) for name in (WEIGHTS, STATE)}
        (part / INDEX).write_text(json.dumps(index, indent=1))
        for path in (*part.iterdir(), part):
            sync(path)
    except RuntimeError as cause:
        if isinstance(cause.__context__, OSError):  # torch.save tells what the disk refuses in words of its own
            raise cause.__context__ from None
        raise StentorError(f"the checkpoint cannot be written: {cause}", path=str(part)) from cause


def read(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, after comparing every file with its hash.

    Raises:
        StentorError: when something is missing or damaged.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        broken = [name for name, expected in index["sha256"].items() if _hash(folder / name) != expected]
        step, _ = int(index["step"]), [index[name] for name in ("next", "elapsed", "metrics")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise StentorError(f"the checkpoint is incomplete or damaged ({cause}).", path=str(folder)) from cause
    if broken:
        raise StentorError(f"the checkpoint is damaged: {', '.join(broken)} changed since.", path=str(folder))
    return Checkpoint(folder, step, index)


def newest(folder: Path) -> Checkpoint:
    """The newest sound checkpoint in `folder`; damaged ones are passed over with a warning.

    Raises:
        StentorError: when there is none; it tells what is wrong with each.
    """
    damaged: list[StentorError] = []
    for candidate in sorted(steps(folder), reverse=True):
        try:
            found = read(candidate)
        except StentorError as error:
            damaged.append(error)
            warnings.warn(f"{error} Falling back to the one before.", stacklevel=2)
        else:
            return found
    reasons = [problem for error in damaged for problem in error.problems]
    raise StentorError("there is no sound checkpoint.", path=str(folder), problems=reasons)


def best(folder: Path, score: Callable[[Mapping[str, float]], float | None]) -> Checkpoint | None:
    """The sound checkpoint in `folder` with the lowest `score`, the earliest of equals; None if none has any.

    Args:
        folder: of all checkpoints.
        score: of a checkpoint's metrics; None where they say nothing.
    """
    found: list[tuple[float, Checkpoint]] = []
    for path in steps(folder):
        with suppress(StentorError):  # a damaged one is nobody's best
            candidate = read(path)
            value = score(candidate.index["metrics"])
            found += [] if value is None else [(value, candidate)]
    return min(found, key=lambda one: one[0])[1] if found else None


def steps(folder: Path) -> list[Path]:
    """Finished checkpoints in `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != _PART and path.is_dir())


def place(folder: Path, step: int) -> Path:
    """The checkpoint of a step in `folder`."""
    return folder / f"step-{step:08d}"


def prune(folder: Path, keep: int, *, besides: Path | None = None) -> None:
    """Delete all but the newest `keep` checkpoints, and `besides`."""
    for path in steps(folder)[: -max(keep, 1)]:
        if path != besides:
            doomed = path.with_name(path.name + _PART)
            os.replace(path, doomed)
            shutil.rmtree(doomed)


def sweep(folder: Path) -> None:
    """Remove what a kill left half-written."""
    for path in folder.glob(f"*{_PART}"):
        shutil.rmtree(path, ignore_errors=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
