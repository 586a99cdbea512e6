"""What `stentor validate` finds in a recipe of a tuning task, before any training and without weights."""

import pytest
import tiny
import tiny_voice
import torch

from stentor.cli import main
from stentor.plugins import registry
from stentor.train import weights

TASKS = ("dpo", "reward-model", "grpo", "ppo", "raft")


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return str(tiny.kept(tmp_path_factory.mktemp("parent") / "run"))


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return str(tiny_voice.kept(tmp_path_factory.mktemp("voice") / "run"))


def told(name, run, **options):
    return [str(one) for one in registry().get("task", name).load().check({}, run=run, **options)]


@pytest.mark.parametrize("name", TASKS)
def test_settings_that_fit_are_fine_with_and_without_the_run(parent, voice, name):
    assert told(name, "")[0].startswith("task.run")
    for run in (parent, voice, "runs/not-there-yet"):
        assert told(name, run) == []


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("dpo", {"beta": 0.0}, "task.beta"),
        ("dpo", {"loss": "ipo", "smoothing": 0.1}, "task.smoothing"),
        ("dpo", {"samples": 0, "judge": {"name": "format"}}, "task.samples"),
        ("reward-model", {"centre": -1.0}, "task.centre"),
        ("grpo", {"samples": 1}, "task.samples"),
        ("grpo", {"clip": -0.1}, "task.clip"),
        ("grpo", {"judge": {"name": "format", "pattern": "a"}}, "task.judge"),
        ("raft", {"keep": 9}, "task.keep"),
        ("ppo", {"kl": 0.0, "kl_target": 3.0}, "task.kl_target"),
        ("ppo", {"decay": 1.5, "clip": -1.0}, "task.decay"),
    ],
)
def test_ranges_are_told_without_the_run(name, options, place):
    found = told(name, "runs/not-there-yet", **options)
    assert place in [one.partition(":")[0] for one in found], found


def test_what_the_policy_decides_is_told_where_its_run_is_there(parent, voice):
    found = told("dpo", parent, left_out=["audio"])
    assert len(found) == 1 and found[0].startswith("task.left_out: ") and "Options: text, control" in found[0]
    assert told("dpo", "runs/not-there-yet", left_out=["audio"], reference_run="runs/nor-this") == []
    assert told("grpo", voice, left_out=["audio"])[0].startswith("task.left_out: ")
    assert "another vocabulary" in told("ppo", voice, reference_run=parent)[0]
    assert told("dpo", parent, reference_run="runs/not-there-yet") == []
    assert told("dpo", parent, reference_run=parent) == []


def test_a_folder_that_holds_no_run_is_told(tmp_path):
    assert "holds no run" in told("dpo", str(tmp_path))[0]


def test_no_weights_are_read_and_no_memory_is_taken(parent, monkeypatch):
    def read(*given, **options):
        raise AssertionError("weights are read")

    made = []
    task = registry().get("task", "ppo").load()
    build = task.__init__
    monkeypatch.setattr(task, "__init__", lambda self, *a, **o: (build(self, *a, **o), made.append(self))[0])
    monkeypatch.setattr(weights, "restore", read)
    assert told("ppo", parent) == [] and len(made) == 1
    assert {one.device for one in made[0].parameters()} == {torch.device("meta")}


def recipe(folder, parent, train, task, more=""):
    place = folder / "recipe.yaml"
    options = "".join(f"  {line}\n" for line in task)
    place.write_text(
        f"defaults: [{{task: dpo}}, _self_]\ntask:\n  run: {parent}\n{options}data: {{train: {train}}}\n{more}"
    )
    return str(place)


def test_validate_tells_them(parent, tmp_path, capsys):
    train = tiny.manifest(tmp_path, tiny.preferred())
    fine = recipe(tmp_path, parent, train, ["loss: simpo"])
    assert main(["validate", fine]) == 0 and "fine" in capsys.readouterr().out
    odd = recipe(tmp_path, parent, train, ["beta: -1.0", "left_out: [audio]"])
    assert main(["validate", odd]) == 2 and "task.beta" in capsys.readouterr().err


def test_adapters_off_needs_adapters(parent, tmp_path, capsys):
    train = tiny.manifest(tmp_path, tiny.preferred())
    without = recipe(tmp_path, parent, train, ["reference: adapters-off"])
    assert main(["validate", without]) == 2
    assert "task.reference: the policy has no adapters" in capsys.readouterr().err
    assert main(["validate", without, "train.lora.rank=4"]) == 0
    assert main(["validate", without, "task.loss=simpo"]) == 0
    other = ["validate", recipe(tmp_path, parent, train, []), f"task.run={parent}", "task.reference=adapters-off"]
    assert main([*other, "task=grpo"]) == 0, "it is held to nothing by default"
    assert main([*other, "task=grpo", "task.kl=0.1"]) == main([*other, "task=ppo"]) == 2
    without = recipe(tmp_path, parent, train, ["reference: adapters-off"])
    assert main(["train", without, "--run", str(tmp_path / "run")]) != 0
    assert not (tmp_path / "run").exists()


def test_a_manifest_without_log_probs_is_no_reference(parent, tmp_path, capsys):
    train = tiny.manifest(tmp_path, tiny.preferred())
    without = recipe(tmp_path, parent, train, ["reference: manifest"])
    assert main(["validate", without]) == 2
    assert f"task.reference: no row of {train} has log_probs" in capsys.readouterr().err
    assert main(["validate", without, "task.loss=simpo"]) == 0
    assert main(["validate", without, "data.train=not-there-yet.jsonl.gz"]) == 0
    said = {"text": "abc", "log_probs": [-1.0]}
    tiny.manifest(tmp_path, [*tiny.preferred(1), ("abc", {"ranked": [said, "c"]})])
    assert main(["validate", without]) == 0
