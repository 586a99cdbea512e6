"""Data-parallel training on CPUs: the ranks share one set, hold one model, and resume exactly."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy
from safetensors.torch import load_file

from stentor.train import checkpoint

HERE = Path(__file__).parent


def run(verb: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "two_processes.py"), verb, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_trains_and_resumes(tmp_path):
    toy.corpus(tmp_path)
    folder = tmp_path / "run"
    run("fit", folder)
    last = checkpoint.newest(folder / "checkpoints")
    assert last.step == 6 and len(last.state()["random"]) == 2
    assert not torch.equal(*(state["torch"] for state in last.state()["random"])), "each rank has its own dropout"
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6], "one process alone writes"
    expected = load_file(last.weights)
    shutil.rmtree(last.folder)
    run("resume", folder)
    again = load_file(checkpoint.newest(folder / "checkpoints").weights)
    assert all(torch.equal(expected[name], again[name]) for name in expected)
