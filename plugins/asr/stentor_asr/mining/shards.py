"""A pool in shards: each is judged on its own, by whatever process, and its result is a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stentor import parallel
from stentor.data.atomic import replacing
from stentor.interfaces.corpus import Rejected
from stentor_asr.mining import hearing
from stentor_asr.mining.judging import judged
from stentor_asr.mining.pool import Clip
from stentor_asr.mining.rankers import Ranker
from stentor_asr.mining.selection import Judged

SECONDS = 900.0
"""Audio in one shard (s): what a kill loses at most, and what a process takes at a time."""


@dataclass(frozen=True)
class Shard:
    """Clips to judge, with all that it takes; it travels to other processes and machines.

    Attributes:
        run: folder of the recogniser.
        ranker: fitted.
        clips: what to judge.
        target: the file that the result goes to; it appears whole or not at all.
        device: where to compute.
    """

    run: str
    ranker: Ranker
    clips: tuple[Clip, ...]
    target: str
    device: str = "cpu"

    @property
    def seconds(self) -> float:
        """Audio in it (s)."""
        return sum(clip.duration for clip in self.clips)

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return os.path.exists(self.target)


def plan(clips: Sequence[Clip], identity: str, *, run: str, ranker: Ranker, folder: Path, device: str) -> list[Shard]:
    """Cut a pool into shards of about 15 minutes, in its order.

    The name of a shard's file tells by a hash what was judged by what: a finished one is never taken for another.

    Args:
        clips: the pool.
        identity: of the recogniser, the ranker and what it was fitted to.
        run: folder of the recogniser.
        ranker: fitted.
        folder: where results go.
        device: where to compute.
    """
    groups: list[list[Clip]] = []
    left = 0.0
    for clip in clips:
        if left <= 0:
            groups.append([])
            left = SECONDS
        groups[-1].append(clip)
        left -= clip.duration
    return [
        Shard(run, ranker, tuple(group), str(folder / f"{_name(group, identity)}.jsonl"), device) for group in groups
    ]


def carry_out(shard: Shard) -> str:
    """Judge a shard and write its result: a line for every clip, judged or rejected.

    Returns:
        The file.
    """
    rejected: list[Rejected] = []
    task = _task(shard.run, shard.device)
    heard = sorted(hearing.heard(task, shard.clips, rejected.extend), key=lambda one: one.clip.id)
    lines: list[dict[str, Any]] = [{"judged": asdict(one)} for one in judged(shard.ranker, heard)]
    lines += [{"rejected": asdict(one)} for one in sorted(rejected, key=lambda one: one.where)]
    with replacing(Path(shard.target)) as temporary:
        temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return shard.target


def read(path: str) -> tuple[list[Judged], list[Rejected]]:
    """What `carry_out` wrote."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    found = [Judged.from_row(line["judged"]) for line in lines if "judged" in line]
    return found, [Rejected(**line["rejected"]) for line in lines if "rejected" in line]


def here(shards: Sequence[Shard], jobs: int) -> Iterator[Shard]:
    """Carry out shards on this machine, `jobs` at a time; each is given out when it is done."""
    return (shard for shard, _ in parallel.here(carry_out, shards, jobs))


def on_ray(shards: Sequence[Shard], address: str) -> Iterator[Shard]:
    """Carry out shards on a Ray cluster; run, pool and results must lie under the same paths on all its machines.

    Raises:
        StentorError: where Ray is not installed, or there is no cluster at the address.
    """
    return (shard for shard, _ in parallel.on_ray(carry_out, shards, address, distribution="stentor-asr"))


@lru_cache(maxsize=1)
def _task(run: str, device: str) -> Any:
    """The recogniser, loaded once for all shards of a process."""
    from stentor import train
    from stentor.model.device import choose_device

    return train.load(run)[1].to(choose_device(device))


def _name(clips: Sequence[Clip], identity: str) -> str:
    digest = hashlib.sha256(identity.encode())
    for clip in clips:
        digest.update(f"{asdict(clip)} {_state(clip.audio)}".encode(errors="replace"))
    return digest.hexdigest()[:24]


def _state(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "absent"
    return f"{found.st_size} {found.st_mtime_ns}"
