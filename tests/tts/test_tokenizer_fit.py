"""The dual tokenizer's life: fitted into a run, taken by other recipes, evaluated, resumed."""

import json
import shutil

import pytest
import torch
from tiny_states import SECTION, buzz

from stentor.config import Recipe, compose
from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.runner import evaluate_set
from stentor.evaluate.subjects import of_run
from stentor.plugins import registry
from stentor.train import fit, load, resume
from stentor_tts.tokenizer.dual import DualCodec
from stentor_tts.tokenizer.task import DualTokenizerTask

CODEC = {"linguistic": 8, "semantic": 12, "encoder": SECTION | {"pretrained": 1}}


@pytest.fixture(scope="module", autouse=True)
def registered():
    known = registry()
    saved = known.snapshot()
    known.add("encoder", "tiny-states", "tiny_states:TinyStates")
    yield
    known.restore(saved)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for number in range(12):
        samples = (0.1 + 0.2 * (number % 4)) * buzz(90.0 + 20 * number, 0.5 + 0.05 * number)
        audio.write(folder / f"{number}.wav", samples.numpy(), 16000)
        seconds = len(samples) / 16000
        rows.append(
            Utterance(f"u{number}", str(folder / f"{number}.wav"), seconds, 16000, text="a", frames=len(samples))
        )
    manifest.save(folder / "train.jsonl.gz", rows)
    return folder / "train.jsonl.gz"


def recipe(corpus, **train):
    return Recipe.from_dict(
        {
            "name": "tokenizer",
            "seed": 1,
            "task": {"name": "dual-tokenizer"},
            "codec": {"name": "dual", **CODEC},
            "data": {"train": str(corpus), "valid": str(corpus), "batch_seconds": 4.0},
            "train": {"steps": 8, "lr": 0.01, "weight_decay": 0.0, "tracking": [], "accelerator": "cpu", "log_every": 1,
                      "checkpoint_every": 3} | train,
            "evaluate": {"sets": {"same": str(corpus)}},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tokenizer"
    assert fit(recipe(corpus), folder, progress=False)
    return folder


def test_the_recipe_that_is_shipped_is_fine():
    assert not compose("tts/tokenizer").misfits()


def test_the_run_says_what_it_stands_on_and_how_it_went(run):
    told = json.loads((run / "provenance.json").read_text())
    assert told["components"]["codec"]["source"] == "seed 1"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["linguistic"] + lines[-1]["semantic"], rel=1e-4)
    assert "valid_loss" in lines[-1]
    assert not (run / "fixed.safetensors").exists()


def test_another_recipe_takes_its_codes(run):
    _, task = load(run)
    codec = DualCodec(run=str(run), **CODEC).eval()
    told = codec.load_pretrained()
    assert told["source"] == f"run {run} at step 8"
    row = buzz(130.0, 0.8)
    expected = task.codec.encode(row[None], torch.tensor([len(row)]))[0]
    assert all(map(torch.equal, codec.encode(row[None], torch.tensor([len(row)]))[0], expected))
    semantic = DualCodec(run=str(run), streams="semantic", **CODEC).eval()
    semantic.load_pretrained()
    assert torch.equal(semantic.encode(row[None], torch.tensor([len(row)]))[0][0], expected[1])


def test_codes_come_from_data_and_most_are_used(run, corpus):
    _, task = load(run)
    rows = [torch.from_numpy(audio.read(row.audio, 16000, 0.0, row.duration, None)) for row in manifest.load(corpus)]
    codes = [task.codec.encode(row[None], torch.tensor([len(row)]))[0] for row in rows]
    for place, size in enumerate((8, 12)):
        assert len(torch.unique(torch.cat([one[place] for one in codes]))) >= size // 2


def test_evaluating_writes_how_codebooks_are_used(run, corpus):
    subject, settings = of_run(run, None, [])
    result = evaluate_set(subject, "same", str(corpus), settings)
    told = json.loads((run / "evaluation" / "same.json").read_text())["statistics"]["codes"]
    assert result["metrics"] == {}
    assert told["rate"] == pytest.approx(41.667, abs=0.001)
    assert told["codebooks"]["semantic"]["codes"] == 3 * sum(int(row.duration / 0.12) for row in manifest.load(corpus))
    assert result["utterances"][0]["output"].startswith("linguistic ")


def test_a_resumed_run_comes_to_the_same_centroids(run, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    for place in sorted((cut / "checkpoints").iterdir())[1:]:
        shutil.rmtree(place)
    assert resume(cut, progress=False)
    whole, resumed = load(run)[1].state_dict(), load(cut)[1].state_dict()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_another_codec_is_refused():
    with pytest.raises(StentorError, match="it fits codec 'dual', not a Linear"):
        DualTokenizerTask(torch.nn.Linear(1, 1))
