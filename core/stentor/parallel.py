"""Independent pieces of work: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from stentor.errors import StentorError
from stentor.extras import require

J = TypeVar("J")
R = TypeVar("R")
_AHEAD = 2
"""Pieces handed out per worker: one to work on and one to go on with; the rest waits unread."""


def here(work: Callable[[J], R], jobs: Iterable[J], processes: int) -> Iterator[tuple[J, R]]:
    """Each job with what `work` gives for it, as it is done; one process works in this one.

    Jobs are read as they are needed, so that there may be more of them than the memory holds.

    Raises:
        StentorError: when a process dies; whatever `work` raises is raised here.
    """
    if processes < 2:
        yield from ((job, work(job)) for job in jobs)
        return
    # Spawned, not forked: engines hold threads and locks that do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_alone) as executor:
        waiting: dict[Future[R], J] = {}
        try:
            for job in jobs:
                waiting[executor.submit(work, job)] = job
                if len(waiting) >= _AHEAD * processes:
                    yield from _done(waiting)
            while waiting:
                yield from _done(waiting)
        except BrokenProcessPool as cause:
            told = "a process was ended from outside, most likely for want of memory; what is done is kept."
            raise StentorError(told, path="--jobs", value=processes) from cause
        finally:
            executor.shutdown(cancel_futures=True)


def on_ray(work: Callable[[J], R], jobs: Iterable[J], address: str, *, distribution: str) -> Iterator[tuple[J, R]]:
    """The same on a Ray cluster; files must lie under the same paths on all its machines.

    Args:
        work: importable there.
        jobs: read as they are needed.
        address: of the cluster.
        distribution: whose extra ``ray`` brings Ray.

    Raises:
        StentorError: where Ray is not installed, or there is no cluster at the address.
    """
    ray = require("ray", "ray", distribution=distribution)
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except (ConnectionError, ValueError) as cause:
        told = f"no Ray cluster answers there: {cause}"
        raise StentorError(told, path="--ray", value=address) from cause
    remote, left = ray.remote(work), iter(jobs)
    waiting: dict[Any, J] = {}
    while True:
        waiting |= {remote.remote(job): job for job in islice(left, _room(ray) - len(waiting))}
        if not waiting:
            return
        ready, _ = ray.wait(list(waiting), num_returns=1)
        for reference in ready:
            yield waiting.pop(reference), ray.get(reference)


def _done(waiting: dict[Future[R], J]) -> Iterator[tuple[J, R]]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()


def _room(ray: Any) -> int:
    """How many pieces are handed out; machines may join while it works."""
    return _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))


def _alone() -> None:
    """Keep a process to one thread, whether torch is loaded already or later."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
