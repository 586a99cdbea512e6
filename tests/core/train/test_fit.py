"""A run's whole life on a tiny task: what is written, what is frozen, what stops it, what comes back."""

import json
import os
import re
import shutil
import signal
import warnings

import pytest
import torch
import toy
from safetensors.torch import load_file

from stentor.data import manifest
from stentor.errors import StentorError
from stentor.train import checkpoint, fit, load, resume
from stentor.train.weights import digests


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return toy.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    """The folder of a run that is not finished, with frozen, pretrained and random tensors."""
    run = tmp_path_factory.mktemp("finished") / "run"
    fit(toy.recipe(train, encoder={"pretrained": 7}, freeze=["encoder.*"], steps=2), run, progress=False)
    shutil.rmtree(run / "checkpoints" / "step-00000002")
    return run


def quiet_fit(recipe, folder):
    return fit(recipe, folder, progress=False)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def last_weights(folder):
    return load_file(checkpoint.newest(folder / "checkpoints").weights)


def test_a_run_folder_is_complete(train, tmp_path):
    recipe = toy.recipe(train, valid=train, valid_every=6, accumulate=2)
    assert quiet_fit(recipe, tmp_path / "run")
    run = tmp_path / "run"
    names = {
        "config.yaml",
        "environment.json",
        "data.json",
        "provenance.json",
        "task.json",
        "metrics.jsonl",
        "checkpoints",
    }
    assert {path.name for path in run.iterdir()} == names
    assert [path.name for path in checkpoint.steps(run / "checkpoints")] == ["step-00000008", "step-00000012"]
    logged = lines(run)
    assert [line["step"] for line in logged] == list(range(1, 13))
    assert [line["step"] for line in logged if "valid_loss" in line] == [6, 12]
    assert {"loss", "letters", "lr", "grad_norm", "epoch", "elapsed"} <= logged[0].keys()
    assert logged[-1]["epoch"] >= 2 and logged[-1]["valid_wer"] <= 100
    assert logged[-1]["valid_letters"] == pytest.approx(logged[-1]["valid_loss"])

    back, task = load(run)
    assert back == recipe and not task.training
    saved = last_weights(run)
    assert saved.keys() == task.state_dict().keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in task.state_dict().items())
    _, earlier = load(run, step=8)
    assert not torch.equal(earlier.head[0].weight, task.head[0].weight)


def test_a_finished_run_is_left_alone_and_a_folder_is_not_used_twice(train, tmp_path, capsys):
    quiet_fit(toy.recipe(train, steps=2), tmp_path / "run")
    before = last_weights(tmp_path / "run")
    assert resume(tmp_path / "run", progress=False)
    assert "spent its budget: 2 steps" in capsys.readouterr().out
    assert all(torch.equal(before[name], tensor) for name, tensor in last_weights(tmp_path / "run").items())
    with pytest.raises(StentorError, match="--resume"):
        quiet_fit(toy.recipe(train, steps=2), tmp_path / "run")


def test_the_same_seed_gives_the_same_run_with_or_without_workers(train, tmp_path):
    augment = {"noise": 0.5, "speeds": [0.9, 1.1]}
    for name, workers in (("a", 0), ("b", 0), ("c", 2)):
        quiet_fit(toy.recipe(train, steps=5, data={"workers": workers, "augment": augment}), tmp_path / name)
    a, b, c = (last_weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) and torch.equal(a[name], c[name]) for name in a)


def test_frozen_tensors_stay_bit_identical(train, tmp_path):
    """Random ones are saved once; pretrained ones are read from their source again; averages stand still."""
    encoder = {"pretrained": 7}
    recipe = toy.recipe(train, encoder=encoder, freeze=["encoder.*"], data={"cache": False}, steps=6)
    quiet_fit(recipe, tmp_path / "run")
    fresh = toy.ToyEncoder(pretrained=7)
    fresh.load_pretrained()
    _, task = load(tmp_path / "run")
    assert digests(task.encoder, ["linear.weight"]) == digests(fresh, ["linear.weight"])
    assert task.encoder.norm.num_batches_tracked == 0
    assert all(name.startswith("head") for name in last_weights(tmp_path / "run"))
    fixed = load_file(tmp_path / "run" / "fixed.safetensors")
    assert "encoder.linear.bias" in fixed and "encoder.linear.weight" not in fixed
    assert torch.equal(fixed["encoder.linear.bias"], task.encoder.linear.bias)
    told = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert told["components"] == {"encoder": {"source": "seed 7"}}
    assert told["frozen"]["tensors"] == ["encoder.linear.weight"]


def test_changed_pretrained_weights_are_noticed(train, tmp_path, monkeypatch):
    quiet_fit(toy.recipe(train, encoder={"pretrained": 7}, freeze=["encoder.*"], steps=1), tmp_path / "run")
    original = toy.ToyEncoder.load_pretrained

    def other(self):
        self.pretrained = 8
        return original(self)

    monkeypatch.setattr(toy.ToyEncoder, "load_pretrained", other)
    with pytest.raises(StentorError, match="have changed"):
        load(tmp_path / "run")


def test_cached_frames_train_like_the_frozen_encoder(train, tmp_path):
    for name, cached in (("cached", True), ("not", False)):
        data = {"cache": cached, "cache_precision": "fp32", "cache_folder": str(tmp_path / "frames")}
        quiet_fit(toy.recipe(train, freeze=["encoder.*"], data=data, steps=5), tmp_path / name)
    one, other = last_weights(tmp_path / "cached"), last_weights(tmp_path / "not")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in other)


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(train, tmp_path):
    recipe = toy.recipe(train, task={"poison": "train005"}, checkpoint_every=1, steps=40)
    with pytest.raises(StentorError, match=r"the loss of step \d+ is not a finite number.*train005"):
        quiet_fit(recipe, tmp_path / "run")
    assert all(tensor.isfinite().all() for tensor in last_weights(tmp_path / "run").values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_resumes_to_the_same_end(train, tmp_path, monkeypatch, capsys, number):
    quiet_fit(toy.recipe(train, steps=6), tmp_path / "whole")
    original = toy.ToyTask.training_loss

    def interrupting(self, batch):
        if len(self.seen) == 2:
            os.kill(os.getpid(), number)
        return original(self, batch)

    handler = signal.getsignal(number)
    monkeypatch.setattr(toy.ToyTask, "training_loss", interrupting)
    assert not quiet_fit(toy.recipe(train, steps=6, checkpoint_every=100), tmp_path / "run")
    assert signal.getsignal(number) is handler
    assert "interrupted at step 3" in capsys.readouterr().out
    assert checkpoint.newest(tmp_path / "run" / "checkpoints").step == 3
    monkeypatch.setattr(toy.ToyTask, "training_loss", original)
    assert resume(tmp_path / "run", progress=False)
    one, other = last_weights(tmp_path / "whole"), last_weights(tmp_path / "run")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_budget_in_minutes_ends_the_run_and_is_remembered(train, tmp_path):
    assert quiet_fit(toy.recipe(train, steps=0, minutes=0.01), tmp_path / "run")
    found = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert 0.6 <= found.index["elapsed"] < 10
    rates = [line["lr"] for line in lines(tmp_path / "run")]
    assert rates[-1] == pytest.approx(1e-5) and max(rates) <= 1e-3
    assert resume(tmp_path / "run", progress=False)
    assert checkpoint.newest(tmp_path / "run" / "checkpoints").step == found.step


def test_a_changed_manifest_is_refused(tmp_path):
    train = toy.corpus(tmp_path, 12)
    quiet_fit(toy.recipe(train, steps=1), tmp_path / "run")
    manifest.save(train, manifest.load(train)[1:])
    with pytest.raises(StentorError, match="has changed since the run began"):
        resume(tmp_path / "run", progress=False)


@pytest.mark.parametrize("name", ["task.json", "provenance.json", "data.json", "config.yaml", "fixed.safetensors"])
@pytest.mark.parametrize("content", ["{", "[1", "{}", None])
def test_a_damaged_or_foreign_run_folder_is_told(finished, tmp_path, name, content):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    if (name, content) == ("task.json", "{}"):
        content = "foreign"  # an empty state is what the toy task has
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_text(content)
    with pytest.raises(StentorError, match=f"{re.escape(str(run))}|{name}"):
        resume(run, progress=False)


def test_no_run_no_budget_no_manifest(train, tmp_path):
    with pytest.raises(StentorError, match="holds no run"):
        resume(tmp_path)
    with pytest.raises(StentorError, match=r"train\.steps"):
        quiet_fit(toy.recipe(train, steps=0), tmp_path / "a")
    with pytest.raises(StentorError, match=r"data\.train"):
        quiet_fit(toy.recipe(""), tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_unreadable_audio_is_put_aside_and_told(tmp_path):
    train = toy.corpus(tmp_path, 12)
    (tmp_path / "train003.wav").write_bytes(b"not audio at all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert quiet_fit(toy.recipe(train, steps=6), tmp_path / "run")
    told = [json.loads(line) for line in (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()]
    assert [line["where"] for line in told] == ["train003"]


def test_the_best_checkpoint_stays(train, tmp_path):
    recipe = toy.recipe(
        train, valid=train, steps=12, valid_every=2, checkpoint_every=2, keep_best=True, lr=0.05, valid_items=0
    )
    quiet_fit(recipe, tmp_path / "run")
    losses = {line["step"]: line["valid_loss"] for line in lines(tmp_path / "run") if "valid_loss" in line}
    kept = {int(path.name[5:]) for path in checkpoint.steps(tmp_path / "run" / "checkpoints")}
    assert kept == {min(losses, key=losses.get), 10, 12}


def test_the_best_checkpoint_is_what_came_of_a_run_that_keeps_it(train, tmp_path):
    settings = {"valid": train, "valid_every": 2, "checkpoint_every": 2, "steps": 6}
    for name, keeps in (("best", True), ("newest", False)):
        quiet_fit(toy.recipe(train, keep_best=keeps, **settings), tmp_path / name)
        index = checkpoint.place(tmp_path / name / "checkpoints", 4) / checkpoint.INDEX
        told = json.loads(index.read_text())
        assert {"valid_loss", "valid_wer"} <= told["metrics"].keys()
        told["metrics"]["valid_wer"] = -1.0  # better than any
        index.write_text(json.dumps(told))
        weights = [load(tmp_path / name, step)[1].head[0].weight for step in (None, 4, 6)]
        assert torch.equal(weights[0], weights[1]) is keeps and torch.equal(weights[0], weights[2]) is not keeps


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"accelerator": "gpuu"}, r"train\.accelerator.*Lightning knows none"),
        ({"strategy": "ddpp"}, r"train\.strategy.*Did you mean 'ddp'"),
        ({"strategy": "fsdp"}, "cannot train with accelerator=cpu.*requires a GPU"),
        ({"groups": [{"match": "adaptor.*"}]}, r"train\.groups\[0\]\.match: it matches no parameter"),
        ({"data": {"batch_seconds": 0.06}}, r"data\.train"),
    ],
)
def test_what_cannot_begin_leaves_no_folder(train, tmp_path, settings, said):
    with pytest.raises(StentorError, match=said):
        quiet_fit(toy.recipe(train, **settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_failed_before_it_learned_anything_begins_again(train, tmp_path):
    with pytest.raises(StentorError, match="not a finite number"):
        quiet_fit(toy.recipe(train, task={"poison": "train005"}, data={"batch_seconds": 30.0}), tmp_path / "run")
    assert quiet_fit(toy.recipe(train, steps=2), tmp_path / "run")
    assert quiet_fit(toy.recipe(train, steps=2), tmp_path / "other")
    one, other = last_weights(tmp_path / "run"), last_weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 2]


def test_a_run_that_failed_after_it_learned_something_keeps_its_folder(train, tmp_path, monkeypatch):
    original = toy.ToyTask.training_loss

    def failing(self, batch):
        if len(self.seen) == 3:
            raise StentorError("the third step fails.")
        return original(self, batch)

    monkeypatch.setattr(toy.ToyTask, "training_loss", failing)
    with pytest.raises(StentorError, match="third step"):
        quiet_fit(toy.recipe(train), tmp_path / "run")
    assert len(lines(tmp_path / "run")) == 3
    with pytest.raises(StentorError, match="holds a run already"):
        quiet_fit(toy.recipe(train), tmp_path / "run")


def test_a_run_folder_can_be_moved(train, tmp_path):
    quiet_fit(toy.recipe(train, steps=2), tmp_path / "run")
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    assert load(tmp_path / "elsewhere")[1].head


def test_bf16_on_a_processor_without_it_is_warned_of(train, monkeypatch):
    from stentor.train import trainer

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    settings = toy.recipe(train, precision="bf16").settings("train")
    with pytest.warns(UserWarning, match="no bf16 units"):
        assert trainer.precision(settings) == "bf16"
    assert trainer.precision(toy.recipe(train).settings("train")) == "fp32"


def test_streamed_sets_train_and_resume(train, tmp_path):
    data = {"streaming": True}
    quiet_fit(toy.recipe(train, steps=8, data=data), tmp_path / "whole")
    quiet_fit(toy.recipe(train, steps=8, data=data), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000008")
    resume(tmp_path / "run", progress=False)
    one, other = last_weights(tmp_path / "whole"), last_weights(tmp_path / "run")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_a_task_keeps_between_steps_comes_back(train, tmp_path, monkeypatch):
    """A task that counts its steps, interrupted and resumed, goes on counting."""
    counted = []

    class Counting(toy.ToyTask):
        steps = torch.zeros(())

        def training_loss(self, batch):
            self.steps = self.steps + 1
            counted.append(int(self.steps))
            return super().training_loss(batch)

        def training_state(self):
            return {"steps": self.steps, "told": ["plain", 1.5]}

        def load_training_state(self, state):
            assert state["told"] == ["plain", 1.5]
            self.steps = state["steps"]

    monkeypatch.setattr(toy, "ToyTask", Counting)
    quiet_fit(toy.recipe(train, steps=6, checkpoint_every=3), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000006")
    resume(tmp_path / "run", progress=False)
    assert counted == [1, 2, 3, 4, 5, 6, 4, 5, 6]
