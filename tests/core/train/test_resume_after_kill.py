"""A run that SIGKILL ended, at any moment, ends with the same bits as the run that was never killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """Every scenario of `kills`, in one process that forks."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    kinds = ["plain", "accumulate", "augmented", "cached", "validated", "workers"]
    command = [sys.executable, str(HERE / "kills.py"), str(tmp_path_factory.mktemp("kills")), *kinds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout + done.stderr
    return json.loads(lines[0].removeprefix("RESULT "))


@pytest.mark.parametrize(
    "name",
    [
        *(f"plain: batch {number}" for number in (0, 2, 3, 9)),
        *(f"plain: writing {what}" for what in ("weights", "state", "sync", "rename", "prune")),
        "plain: mid-run",
        "plain: from outside",
        "plain: three times",
        "accumulate: mid-run",
        "accumulate: between batches of a step",
        *(f"{kind}: mid-run" for kind in ("augmented", "cached", "validated", "workers")),
    ],
)
def test_ends_with_the_same_bits(results, name):
    case = results[name]
    assert all(number == 9 for number in case["signals"]), "the kill did not happen"
    assert all(case["kept"]), "a kill left no checkpoint"
    assert case["ended"] == 0
    assert case["steps"] == list(range(1, 11)), "metrics of a step are missing or twice"
    assert case["equal"], "weights, moments or the loader's place differ"


def test_what_is_half_written_is_never_seen(results):
    before = ["step-00000000", "step-00000003"]
    for what in ("weights", "state", "sync", "rename"):
        assert results[f"plain: writing {what}"]["kept"] == [before]
