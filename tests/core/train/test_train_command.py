"""``stentor train`` as a user calls it."""

import pytest
import toy

from stentor.cli import main
from stentor.train import checkpoint


@pytest.fixture
def place(tmp_path, monkeypatch):
    toy.register()
    train = toy.corpus(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STENTOR_RUN_FOLDER", raising=False)
    (tmp_path / "toy.yaml").write_text(
        f"defaults:\n  - task: toy\n  - encoder: toy\n  - _self_\ndata:\n  train: {train}\n  batch_seconds: 3.0\n"
        "train:\n  steps: 2\n  tracking: []\n  accelerator: cpu\nseed: 1\n"
    )
    return tmp_path


def test_trains_and_names_the_folder(place, capsys):
    assert main(["train", "toy.yaml", "train.lr=1e-2"]) == 0
    (folder,) = (place / "runs").iterdir()
    told = capsys.readouterr().out
    assert f"the run is in runs/{folder.name}" in told and "for 2 steps" in told
    assert checkpoint.newest(folder / "checkpoints").step == 2
    assert main(["train", "--resume", str(folder)]) == 0
    assert "spent its budget" in capsys.readouterr().out


def test_a_sweep_trains_every_combination_and_goes_on_after_a_failure(place, capsys):
    words = [
        "train",
        "toy.yaml",
        "task.poison=absent,train001",
        "train.lr=1e-3,1e-2",
        "train.steps=6",
        "--run",
        "s",
        "-m",
    ]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "2 of 4 runs are in s" in told.out and "train001" in told.err
    ended = [checkpoint.newest(folder / "checkpoints").step for folder in sorted((place / "s").iterdir())]
    assert ended == [6, 6, 0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "name a recipe"),
        (["train", "toy.yaml", "train.stesp=3"], "Did you mean 'steps'"),
        (["train", "toy.yaml", "data.train=nowhere.jsonl.gz"], "nowhere.jsonl.gz"),
        (["train", "--resume", "nowhere"], "holds no run"),
        (["train", "toy.yaml", "--resume", "x"], "--resume takes"),
    ],
)
def test_bad_input_is_one_sentence(place, capsys, words, said):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert not (place / "runs").exists()
