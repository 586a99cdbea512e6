"""What corpora that speak share: voices in processes, checks of what they said, files that appear whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from stentor.data.atomic import writing
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected

P = TypeVar("P")

RATE = 16000
"""Of all files (Hz)."""
_SHORTEST, _LONGEST = 0.5, 15.0  # seconds


def check_voices(voices: Sequence[str], unseen: str) -> None:
    """See that there are training voices, and that the held-out one is none of them.

    Raises:
        StentorError: otherwise, naming the option of the corpus.
    """
    if not voices:
        raise StentorError("there must be a training voice at least.", path="corpus.voices", value=list(voices))
    if unseen in voices:
        raise StentorError("the held-out voice is also a training voice.", path="corpus.unseen_voice", value=unseen)


def in_processes(make: Callable[[P], Item | Rejected], plans: Iterable[P], workers: int) -> Iterator[Item | Rejected]:
    """What `make` gives for each of `plans`, in their order, made in so many processes."""
    if workers < 2:
        yield from map(make, plans)
        return
    # Spawned, not forked: the engines hold threads and locks that do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, plans, chunksize=8)


def digest(plan: Any) -> str:
    """Ten letters that say what a plan (a dataclass) is, so that a finished file is never taken for another."""
    return hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:10]


def fault(audio: np.ndarray, rate: int, shortest: float = _SHORTEST, longest: float = _LONGEST) -> str | None:
    """What is wrong with speech float [N], if anything: its length (s), its samples, its level."""
    seconds = len(audio) / rate
    if not np.isfinite(audio).all():
        return "the voice gave samples that are not numbers"
    if not shortest <= seconds <= longest:
        return f"too short or too long: {seconds:.2f} s, expected {shortest} to {longest} s"
    if float(np.abs(audio).max()) < 1e-3:
        return "silent"
    if float(np.mean(np.abs(audio) > 0.999)) > 0.001:
        return "clipped: more than 0.1 % of the samples are at full scale"
    return None


def write(target: Path, audio: np.ndarray) -> None:
    """Write float [N] in [-1, 1] as 16-bit FLAC; the file appears whole or not at all.

    Raises:
        StentorError: when the disk cannot take it.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            soundfile.write(file, (audio * 32767).round().astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
        os.replace(partial, target)
