"""Reinforcement learning in two processes: samples of their own, one model, one price of divergence, exact resume;
one process's samples may all be lost, and each may have workers.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from stentor.train import checkpoint

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def run(verb, name, folder):
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "two_tuners.py"), verb, name, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ppo", "grpo"])
def test_tunes_and_resumes(tmp_path, name):
    tiny.kept(tmp_path / "parent")
    tiny.manifest(tmp_path, tiny.preferred())
    folder = tmp_path / "run"
    run("fit", name, folder)
    assert [line["step"] for line in tiny.lines(folder)] == [1, 2, 3, 4, 5, 6], "one process alone writes"
    last, middle = (checkpoint.read(checkpoint.place(folder / "checkpoints", step)) for step in (6, 3))
    one, other = middle.state()["task"]
    if name == "ppo":
        assert one["kl"] == other["kl"] != 0.05 and one["steps"] == other["steps"] == 3
        told = [state["experience"]["rollout"]["tokens"] for state in (one, other)]
        assert told[0] != told[1], "each process samples for itself"
    expected = load_file(last.weights)
    shutil.rmtree(last.folder)
    run("resume", name, folder)
    again = load_file(checkpoint.newest(folder / "checkpoints").weights)
    assert all(torch.equal(expected[tensor], again[tensor]) for tensor in expected)


@pytest.mark.parametrize("name", ["ppo", "grpo", "raft"])
def test_goes_on_alike_where_all_samples_of_one_process_are_lost(tmp_path, name):
    tiny.kept(tmp_path / "parent")
    tiny.manifest(tmp_path, tiny.preferred())
    run("lose", name, tmp_path / "run")
    assert [line["step"] for line in tiny.lines(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
    one, other = ((tmp_path / f"weights-{rank}.txt").read_text().splitlines() for rank in (0, 1))
    assert one == other and len(one) == 6, "what one process learns, the other takes over"
    assert len(set(one)) > 3, "there was something to learn"


def test_is_the_same_where_each_process_has_workers(tmp_path):
    tiny.kept(tmp_path / "parent")
    tiny.manifest(tmp_path, tiny.preferred())
    found = []
    for verb in ("fit", "apart"):
        run(verb, "ppo", tmp_path / verb)
        found.append(load_file(checkpoint.newest(tmp_path / verb / "checkpoints").weights))
    assert all(torch.equal(found[0][tensor], found[1][tensor]) for tensor in found[0])
