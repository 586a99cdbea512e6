"""Steps of GRPO that sample for the next step in a process of their own, against one process that does all in turn.

The policy, prompt and group of ``grpo.py``. Wall time, since two processes share the work, so it needs two cores that
are free; one thread for each process, contestants interleaved, medians. The plain one is also given two threads. What
is bought is bought with responses that are one update old. Target: at least 1.2 times the steps per second of the
plain one with as many threads in all. One JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from grpo import GROUP, batch
from shared import tuning

from stentor.plugins import registry

TARGET = 1.2


def steps(run: Path, threads: int, count: int, workers: dict[str, Any]) -> list[float]:
    """Wall seconds of each step."""
    torch.set_num_threads(threads)
    options: dict[str, Any] = {"samples": GROUP, "reward": {"name": "distinct"}, "workers": workers}
    task: Any = tuning.tuning(run, "grpo", **options)
    found = tuning.ours(task, batch(), count, time.perf_counter)
    torch.set_num_threads(1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=8, help="timed steps of a turn")
    arguments = parser.parse_args()
    tuning.quiet()
    registry().add("reward", "distinct", "grpo:Distinct")
    with tempfile.TemporaryDirectory() as folder:
        run, count = tuning.policy_run(Path(folder) / "run"), arguments.steps
        medians = tuning.interleaved(
            {
                "one thread": lambda: steps(run, 1, count, {}),
                "two threads": lambda: steps(run, 2, count, {}),
                "ahead": lambda: steps(run, 1, count, {"rollout": True, "ahead": True}),
            },
            arguments.rounds,
        )
    ratio = medians["two threads"] / medians["ahead"]
    told = {"benchmark": "grpo/ahead", "ratio": round(ratio, 3), "target": TARGET, "passed": ratio >= TARGET}
    print(json.dumps(told | {f"milliseconds {name}": round(value, 1) for name, value in medians.items()}), flush=True)


if __name__ == "__main__":
    main()
