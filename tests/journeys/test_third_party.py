"""A stranger's distribution: installed on top, its own tests pass, and its parts are swapped in by overrides alone."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from outside import fake_distribution, install, make_environment, pytest_in, stentor
from test_broken_plugins import LIAR, REGISTER

SOURCE = Path(__file__).parent.parent / "third_party" / "stentor-thirdparty"
TEXTS = ("turn left", "open the window", "seven boats leave", "call me back", "stop")
SHORT = ("train.steps=3", "train.minutes=0", "train.tracking=[]", "data.valid=", "tokenizer@text=characters",
         "evaluate.sets={}", "evaluate.targets={}")  # fmt: skip


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment with the distribution installed."""
    place = tmp_path_factory.mktemp("outside")
    shutil.copytree(SOURCE, place / "source", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    made = make_environment(place / "env")
    install(made, place / "source")
    return made


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Five tones with text, prepared."""
    place = tmp_path_factory.mktemp("corpus")
    (place / "audio").mkdir()
    for index, text in enumerate(TEXTS):
        tone = 0.3 * np.sin(np.arange(8000) * (0.05 + 0.02 * index))
        soundfile.write(place / "audio" / f"{index}.wav", tone, 16000)
        (place / "audio" / f"{index}.txt").write_text(text)
    stentor("prepare", "folder", place / "audio", "-o", place / "prepared")
    return place / "prepared" / "all.jsonl.gz"


def metrics_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_its_own_tests_pass(python):
    closing = pytest_in(python, SOURCE / "tests")
    assert "passed" in closing
    assert "failed" not in closing


def test_a_foreign_recipe_trains_with_its_parts(python, manifest, tmp_path):
    swaps = ("encoder=sinc", "adapter=gated", "backbone=renormed", "evaluate.metrics=[ser]")
    run = tmp_path / "run"
    stentor("train", "asr/speechlm", *swaps, *SHORT, f"data.train={manifest}", "--run", run, python=python)
    assert metrics_of(run)[-1]["step"] == 3
    environment = (run / "environment.json").read_text()
    assert "stentor-thirdparty" in environment
    config = (run / "config.yaml").read_text()
    assert all(f"name: {name}" in config for name in ("sinc", "gated", "renormed"))


def test_its_own_task_trains_and_is_scored_by_its_own_metric(python, manifest, tmp_path):
    run, sets = tmp_path / "run", f"evaluate.sets={{all: {manifest}}}"
    short = [word for word in SHORT if "text" not in word and "sets" not in word]
    stentor("train", "thirdparty/keywords", *short, sets, f"data.train={manifest}", "--run", run, python=python)
    stentor("evaluate", run, python=python)
    scored = json.loads((run / "evaluation" / "all.json").read_text())
    assert set(scored["metrics"]) == {"ser"}
    assert len(scored["utterances"]) == len(TEXTS)


def test_a_part_that_lies_about_its_width_ends_training_in_one_line(manifest, tmp_path):
    fake_distribution(tmp_path / "site", "stentor-liar", "0.3", plugin="liar", liar=LIAR,
                      hooks=REGISTER + "encoder('liar', 'liar:Liar')\n")  # fmt: skip
    done = stentor("train", "asr/speechlm", "encoder=liar", *SHORT, f"data.train={manifest}", "--run", tmp_path / "run",
                   python=sys.executable, check=False, PYTHONPATH=str(tmp_path / "site"))  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if "'liar'" in line]
    assert len(told) == 1
    assert "encoder 'liar' of plugin 'liar' (stentor-liar 0.3) declares frames of width 64" in told[0]
