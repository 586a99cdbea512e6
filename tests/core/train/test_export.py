"""An export is used exactly as the run that it came from, and holds nothing of the training."""

import json

import pytest
import torch
import toy

from stentor import cli
from stentor.errors import StentorError
from stentor.train import fit, load
from stentor.train.export import export
from stentor.train.weights import digests


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return toy.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(train, tmp_path_factory):
    """A run with a frozen encoder from a pretrained source and several checkpoints."""
    folder = tmp_path_factory.mktemp("run") / "run"
    frozen = {"encoder": {"pretrained": 7}, "freeze": ["encoder.linear.*"]}
    fit(toy.recipe(train, **frozen, steps=8, data={"cache": False}), folder, progress=False)
    return folder


def test_it_is_loaded_as_the_run_is(run, tmp_path):
    made = export(run, tmp_path / "given")
    assert digests(load(made)[1]) == digests(load(run)[1])
    assert load(made)[0].config == load(run)[0].config
    assert {path.name for path in made.rglob("*") if path.is_file()} == {
        "README.md", "config.yaml", "task.json", "provenance.json", "environment.json", "data.json",
        "weights.safetensors", "checkpoint.json", "fixed.safetensors",
    }  # fmt: skip
    assert not list(tmp_path.glob(".*"))
    again = export(made, tmp_path / "given on")
    assert digests(load(again)[1]) == digests(load(run)[1])


def test_the_best_checkpoint_is_taken(train, tmp_path):
    valid = toy.corpus(tmp_path, 8, "valid")
    recipe = toy.recipe(train, valid=valid, steps=8, valid_every=4, keep_best=True)
    fit(recipe, tmp_path / "run", progress=False)
    made = export(tmp_path / "run", tmp_path / "given")
    (kept,) = (made / "checkpoints").iterdir()
    assert digests(load(made)[1]) == digests(load(tmp_path / "run", int(kept.name.removeprefix("step-")))[1])


def test_another_run_begins_with_it(run, train, tmp_path):
    made = export(run, tmp_path / "given")
    options = {"encoder": {"pretrained": 7}, "steps": 1, "data": {"cache": False}}
    fit(toy.recipe(train, initialise=str(made), **options), tmp_path / "from export", progress=False)
    fit(toy.recipe(train, initialise=str(run), **options), tmp_path / "from run", progress=False)
    assert digests(load(tmp_path / "from export")[1]) == digests(load(tmp_path / "from run")[1])


def test_the_card_tells_what_is_known(run, train, tmp_path):
    result = {"set": "home", "count": 24, "unscored": 0, "hours": 0.01, "utterances": [{"synthetic": True}],
              "metrics": {"wer": {"value": 12.5, "low": 10.0, "high": 15.0, "unit": "%"}}, "normaliser": "plain",
              "rtf": 0.1, "rtf_wall": 0.1, "peak_memory_mb": 9, "failed": 0, "recipe": "toy"}  # fmt: skip
    (run / "evaluation").mkdir(exist_ok=True)
    (run / "evaluation" / "home.json").write_text(json.dumps(result))
    less = {**result, "set": "road", "metrics": {"cer": result["metrics"]["wer"]}}
    (run / "evaluation" / "road.json").write_text(json.dumps(less))
    card = (export(run, tmp_path / "given", licence="cc-by-4.0") / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: stentor\nlicense: cc-by-4.0\n")
    for words in (f"train: `{train}`", "24 utterances", "1 speakers",
                  "| set | utterances | synthetic | WER | CER | text normaliser |",
                  "| home | 24 | synthetic | 12.50 [10.00, 15.00] % | - | plain |",
                  "| road | 24 | synthetic | - | 12.50 [10.00, 15.00] % | plain |", "seed 7",
                  "step 8", "torch " + torch.__version__):  # fmt: skip
        assert words in card, words


def test_what_cannot_be_exported_is_told(run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for source, output, options, words in [
        (tmp_path / "nowhere", "a", {}, "holds no run"),
        (run, "full", {}, "there is something here already"),
        (run, "a", {"embedded": True}, "no name to embed them under"),
        (run, "a", {"backbone": True}, "exactly one"),
    ]:
        with pytest.raises(StentorError, match=words):
            export(source, tmp_path / output, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_damaged_export_is_not_loaded(run, tmp_path):
    made = export(run, tmp_path / "given")
    (weights,) = made.rglob("weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(StentorError, match="no sound checkpoint"):
        load(made)


def test_the_command(run, tmp_path, capsys):
    assert cli.main(["export", str(run), "-o", str(tmp_path / "given"), "--license", "mit"]) == 0
    assert capsys.readouterr().out.startswith(f"Exported: {tmp_path / 'given'} (9 files")
    assert cli.main(["export", str(run), "-o", str(tmp_path / "given")]) == 2
