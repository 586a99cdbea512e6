import builtins
import json
import sys

import pytest
import toy

from stentor.train import fit, resume
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Lines, flat, trackers


def test_lines_drop_what_a_kill_left_behind(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n{"step": 3, "lo')
    lines = Lines(path, step=1)
    lines.log(2, {"loss": 0.5})
    lines.close("done")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "loss": 2},
        {"step": 2, "loss": 0.5},
    ]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_missing_tracker_is_told_in_one_line_and_training_goes_on(tmp_path, monkeypatch, capsys, name):
    original = builtins.__import__

    def without(module, *arguments, **named):
        if module.split(".")[0] == name:
            raise ImportError(f"No module named '{name}'")
        return original(module, *arguments, **named)

    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(builtins, "__import__", without)
    found = trackers(tmp_path, TrainSettings(tracking=[name]), {}, {})
    assert len(found) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and f"pip install 'stentor[{name}]'" in told[0]


def test_flat():
    assert flat({"train": {"lr": 1, "groups": []}, "seed": 2}) == {"train.lr": 1, "train.groups": [], "seed": 2}


def test_mlflow_has_parameters_metrics_and_one_run_after_resuming(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra 'mlflow')")
    train = toy.corpus(tmp_path, 8)
    recipe = toy.recipe(train, steps=6, tracking=["mlflow"], experiment="toys")
    fit(recipe, tmp_path / "run", progress=False)
    (tmp_path / "run" / "checkpoints" / "step-00000006").rename(tmp_path / "away")
    resume(tmp_path / "run", progress=False)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("toys")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.params["train.experiment"] == "toys" and run.data.params["encoder.name"] == "toy"
    assert run.data.tags["stentor.recipe"] == "toy"
    history = {metric.step for metric in client.get_metric_history(run.info.run_id, "loss")}
    assert history == set(range(1, 7))


def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra 'tensorboard')")
    (tracker,) = trackers(tmp_path, TrainSettings(tracking=["tensorboard"]), {}, {})[1:]
    tracker.log(1, {"loss": 1.0})
    tracker.close("done")
    assert list((tmp_path / "tensorboard").glob("events*"))
