"""``stentor evaluate`` and ``stentor report`` from the command line, with a model put in place of a run's."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from stentor import cli
from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.evaluate import subjects
from stentor.evaluate.runner import Subject


class Deaf(nn.Module):
    sample_rate = 8000

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def predict(self, batch):
        return ["yes"] * len(batch["ids"])

    def align(self, batch, outputs):
        return None


class Fixed:
    device = "nothing"

    def load_pretrained(self):
        return {}


class Movable(Fixed):
    def __init__(self, *, device: str = "auto"):
        self.device = device


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder with two sets, one of which is not there."""
    audio.write(tmp_path / "a.wav", np.full(8000, 0.1, np.float32), 8000)
    told = {"audio": str(tmp_path / "a.wav"), "duration": 1.0, "sample_rate": 8000, "frames": 8000}
    rows = [Utterance(id=text, text=text, **told) for text in ("yes", "no")]
    manifest.save(tmp_path / "set.jsonl.gz", rows)
    sets = {"there": str(tmp_path / "set.jsonl.gz"), "absent": str(tmp_path / "none.jsonl.gz")}

    def of_run(folder, output, changes, swaps, decoders):
        return Subject(Deaf(), output or folder, "toy"), subjects.settings_of({"sets": sets, "bootstrap": 100}, changes)

    monkeypatch.setattr(subjects, "of_run", of_run)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_every_set_of_the_recipe_is_scored_and_absent_ones_are_told(run, capsys):
    assert cli.main(["evaluate", str(run), "evaluate.normaliser=basic", "evaluate.device=cpu"]) == 0
    told = capsys.readouterr()
    line = next(line for line in told.out.splitlines() if line.startswith("there"))
    assert line.split()[1] == "2" and "50.00 [" in line
    assert "absent: skipped, its manifest" in told.err
    result = json.loads((run / "evaluation" / "there.json").read_text())
    assert result["normaliser"] == "basic" and result["metrics"]["wer"]["errors"] == 1
    assert cli.main(["report", str(run)]) == 0
    assert (run / "report.html").stat().st_size > 10_000


def test_gpu_that_is_not_here_is_one_sentence(run, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["evaluate", str(run), "evaluate.device=cuda"]) == 2
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "device" in line]
    assert "no GPUs here" in told and "Use cpu." in told


@pytest.mark.parametrize(("takes_device", "told"), [(True, "cpu"), (False, "nothing")])
def test_a_recogniser_computes_where_the_settings_say(tmp_path, monkeypatch, takes_device, told):
    found = copy.deepcopy(subjects.registry())
    if "recogniser" not in {kind.name for kind in found.kinds()}:
        found.kind("recogniser", "builtins:object", "hears")
    found.add("recogniser", "mine", f"{__name__}:{'Movable' if takes_device else 'Fixed'}")
    monkeypatch.setattr(subjects, "registry", lambda: found)
    subject, _ = subjects.of_recogniser("mine", tmp_path, ["evaluate.device=cpu"])
    assert subject.predictor.recogniser.device == told


def test_sets_can_be_given_and_picked(run, tmp_path, capsys):
    given = f"mine={tmp_path / 'set.jsonl.gz'}"
    assert cli.main(["evaluate", str(run), given, "--output", str(tmp_path / "out")]) == 0
    assert [path.name for path in (tmp_path / "out" / "evaluation").iterdir()] == ["mine.json"]
    assert cli.main(["evaluate", str(run), "--sets", "absent"]) == 2
    assert "none of the manifests exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name one run folder"),
        (["RUN", "--recogniser", "whisper"], "name one run folder"),
        (["RUN", "--sets", "thee"], "Did you mean 'there'?"),
        (["RUN", "evaluate.bootstrp=5"], "Did you mean 'bootstrap'?"),
        (["RUN", "evaluate.device=tpu"], "evaluate.device"),
        (["RUN", "evaluate.batch_size=["], "is no override"),
        (["RUN", "evaluate.batch_size.foo=1"], "evaluate.batch_size"),
        (["RUN", "evaluate.bootstrap.foo=1"], "evaluate.bootstrap"),
        (["RUN", "evaluate.batch_size=1,2"], "gives several values"),
        (["RUN", "evaluate.=1"], "evaluate."),
        (["RUN", "evaluate.normaliser=${nothing}"], "nothing"),
        (["--recogniser", "nonesuch", "a=b"], "nonesuch"),
    ],
)
def test_bad_input_gets_a_sentence(run, words, told, capsys):
    assert cli.main(["evaluate", *(str(run) if word == "RUN" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert told in error or "no installed plugin brings recognisers" in error
    assert "Traceback" not in error
