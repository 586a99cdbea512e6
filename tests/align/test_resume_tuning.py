"""A tuning run that SIGKILL ended, even between two uses of its samples, ends with the bits of an unbroken run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLACES = os.pathsep.join([str(HERE), str(HERE.parent / "core" / "train")])


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """Every task of `kills_align`, in one process that forks."""
    environment = {**os.environ, "PYTHONPATH": PLACES, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "kills_align.py"), str(tmp_path_factory.mktemp("kills"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout + done.stderr
    return json.loads(lines[0].removeprefix("RESULT "))


@pytest.mark.parametrize("name", ["dpo", "grpo", "ppo", "raft", "ahead", "voice"])
def test_ends_with_the_same_bits(results, name):
    if name == "voice":
        pytest.importorskip("stentor_tts")
    case = results[name]
    assert all(number == 9 for number in case["signals"]), "the kill did not happen"
    assert case["kept"] == [["step-00000000", "step-00000003"]] * 2, "the kills fell elsewhere"
    assert case["ended"] == 0
    assert case["steps"] == list(range(1, 11)), "metrics of a step are missing or twice"
    assert case["equal"], "weights, moments or the loader's place differ"


def test_a_voice_tuned_by_its_tokens_has_nothing_in_memory_that_makes_sound(results):
    """Checklist 4.5.6: no vocoder on the path of a reward for tokens, not even imported."""
    pytest.importorskip("stentor_tts")
    names = {name.split(".")[1] for name in results["modules"]}
    assert "lm" in names and not names & {"vocoders", "flow", "rewards", "measures"}, results["modules"]
