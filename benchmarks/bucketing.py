"""Bucketed batching of 100,000 cuts within 200 padded seconds: ours against lhotse's dynamic sampler.

Processor time, one thread, contestants interleaved, medians. One JSON line.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from lhotse import CutSet, MonoCut, SupervisionSegment
from lhotse.dataset import DynamicBucketingSampler

from stentor.data.sampler import BucketingSampler

CUTS, BUDGET, ROUNDS = 100_000, 200.0, 3


def durations() -> np.ndarray:
    return np.clip(np.random.default_rng(0).lognormal(1.8, 0.6, CUTS), 0.5, 30)


def cut(number: int, seconds: float) -> MonoCut:
    name = f"c{number}"
    supervision = SupervisionSegment(name, name, 0.0, seconds, text="a few words", speaker="s")
    return MonoCut(name, 0.0, seconds, 0, supervisions=[supervision])


def timed(work: Callable[[], list[tuple[int, float, float]]]) -> dict[str, float]:
    """Cuts a second, padding waste and largest batch; a batch is (rows, longest row, sum of rows)."""
    began = time.process_time()
    batches = work()
    seconds = time.process_time() - began
    padded = sum(count * longest for count, longest, _ in batches)
    return {
        "cuts_per_second": sum(count for count, _, _ in batches) / seconds,
        "waste_percent": 100 * (1 - sum(total for _, _, total in batches) / padded),
        "largest_batch_seconds": max(count * longest for count, longest, _ in batches),
    }


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    torch.set_num_threads(1)
    lengths = durations()

    def ours() -> list[tuple[int, float, float]]:
        plan = BucketingSampler(lengths, BUDGET, seed=1).plan(0)
        return [(len(rows), float(lengths[rows].max()), float(lengths[rows].sum())) for rows in plan]

    before = memory()
    ours()
    own_memory, before = memory() - before, memory()
    cuts = CutSet.from_cuts(cut(number, float(seconds)) for number, seconds in enumerate(lengths))

    def lhotse() -> list[tuple[int, float, float]]:
        random.seed(1)
        sampler = DynamicBucketingSampler(cuts, max_duration=BUDGET, num_buckets=30, shuffle=True, seed=1)
        found = []
        for batch in sampler:
            each = [one.duration for one in batch]
            found.append((len(each), max(each), sum(each)))
        return found

    results: dict[str, list[dict[str, float]]] = {"ours": [], "lhotse": []}
    for _ in range(ROUNDS):
        results["ours"].append(timed(ours))
        results["lhotse"].append(timed(lhotse))
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()
    }
    medians["ours"]["memory_mb"], medians["lhotse"]["memory_mb"] = own_memory, memory() - before
    ratio = medians["ours"]["cuts_per_second"] / medians["lhotse"]["cuts_per_second"]
    own = medians["ours"]
    passed = ratio >= 5 and own["waste_percent"] <= 2 and own["largest_batch_seconds"] <= BUDGET
    told = {
        "benchmark": "bucketing",
        "cuts": CUTS,
        "budget_seconds": BUDGET,
        "ratio": round(ratio, 2),
        "target": ">= 5, waste <= 2 %, never over budget",
        "passed": bool(passed),
    }
    print(json.dumps(told | medians))


if __name__ == "__main__":
    main()
