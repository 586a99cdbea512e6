"""Merging runs: exact, with lineage, refused where it would mean nothing."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from stentor.cli import main
from stentor.errors import StentorError
from stentor.train import fit, load
from stentor.train.assembly import assemble
from stentor.train.weights import digests, tensors
from stentor_align import mergeable, merging


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Three runs with the same tokenizer, and a tuning run of the first."""
    folder = tmp_path_factory.mktemp("family")
    names = {name: tiny.kept(folder / name, tiny.policy(seed)) for seed, name in enumerate(("sft1", "sft2", "base"))}
    train = tiny.manifest(folder, tiny.preferred())
    fit(tiny.recipe({"name": "dpo", "run": str(names["sft1"])}, train, steps=3), folder / "dpo", progress=False)
    return {name: str(path) for name, path in names.items()} | {"dpo": str(folder / "dpo")}


def found(run):
    task = load(run)[1]
    return {name: tensor.detach() for name, tensor in tensors(getattr(task, "policy", task)).items()}


def test_five_five_one_is_exact_and_loads_like_a_run(family, tmp_path, capsys):
    names = [family[name] for name in ("sft1", "sft2", "dpo")]
    assert main(["merge", *names, "-o", str(tmp_path / "merged"), "--weights", "5,5,1"]) == 0
    assert "linear of 3" in capsys.readouterr().out
    one, two, three = (found(name) for name in names)
    merged = found(tmp_path / "merged")
    assert merged.keys() == one.keys()
    for name, tensor in merged.items():
        expected = (5 * one[name].double() + 5 * two[name].double() + three[name].double()) / 11
        assert (tensor - expected).abs().max() <= 1e-6
    recipe, task = load(tmp_path / "merged")
    assert recipe.task == "text-lm" and task.predict(tiny.batch("abc"))
    told = json.loads((tmp_path / "merged" / "provenance.json").read_text())["components"]["made"]
    assert [(parent["name"], parent["weight"]) for parent in told["parents"]] == list(
        zip(names, (5, 5, 1), strict=True)
    )
    assert told["method"] == "linear" and all(len(parent["sha256"]) == 64 for parent in told["parents"])
    with pytest.raises(StentorError, match="holds a run already"):
        merging.merge(tmp_path / "merged", names)


def test_a_single_tuning_run_gives_its_policy(family, tmp_path):
    merging.merge(tmp_path / "policy", [family["dpo"]])
    assert digests(load(tmp_path / "policy")[1]) == digests(load(family["dpo"])[1].policy)


@pytest.mark.parametrize(("weights", "scale"), [((1.0, 1.0), 1.0), ((0.5, 2.0), 0.3)])
def test_task_arithmetic_adds_what_was_learnt(family, weights, scale):
    base, one, two = (found(family[name]) for name in ("base", "sft1", "sft2"))
    merged = merging.task_arithmetic(base, [one, two], weights, scale=scale)
    for name, start in base.items():
        expected = start + scale * (weights[0] * (one[name] - start) + weights[1] * (two[name] - start))
        torch.testing.assert_close(merged[name], expected, atol=1e-5, rtol=0)


def test_ties_by_hand():
    base = {"a": torch.zeros(4), "b": torch.zeros(1)}
    one = {"a": torch.tensor([4.0, -3, 0.1, 2]), "b": torch.tensor([0.2])}
    two = {"a": torch.tensor([2.0, 5, -6, 0.1]), "b": torch.tensor([0.1])}
    merged = merging.ties(base, [one, two], [1, 1], density=0.6)
    # kept: of one 4 -3 2, of two 2 5 -6; elected signs + + - +
    assert merged["a"].tolist() == [3, 5, -6, 2] and merged["b"].tolist() == [0]
    whole = merging.ties(base, [one, one], [1, 1], density=1.0, scale=0.5)
    torch.testing.assert_close(whole["a"], 0.5 * one["a"])
    with pytest.raises(StentorError, match="at most 1"):
        merging.ties(base, [one], [1], density=0.0)


def test_slerp_keeps_to_the_circle():
    one, other = {"a": torch.tensor([1.0, 0])}, {"a": torch.tensor([0.0, 1])}
    torch.testing.assert_close(merging.slerp([one, other], 0.5)["a"], torch.full((2,), 0.5**0.5))
    assert merging.slerp([one, other], 0.0)["a"].tolist() == [1, 0]
    assert merging.slerp([one, {"a": torch.tensor([3.0, 0])}], 0.5)["a"].tolist() == [2, 0]
    with pytest.raises(StentorError, match="one other"):
        merging.slerp([one, other, one])


def test_what_is_equal_everywhere_stays_bit_identical():
    fixed, moved = torch.tensor([0.1, 0.3]), torch.tensor([1.0])
    members = [{"fixed": fixed, "moved": moved, "count": torch.tensor(3)} for moved in (moved, moved + 1, moved + 2)]
    merged = merging.linear(members, [5, 5, 1])
    assert torch.equal(merged["fixed"], fixed) and merged["count"] == 3
    members[1]["count"] = torch.tensor(4)
    with pytest.raises(StentorError, match="'count' is no real number"):
        merging.linear(members, [5, 5, 1])


def test_adapters_are_merged_first(family, tmp_path):
    pytest.importorskip("peft")
    train = tiny.manifest(tmp_path, tiny.preferred())
    task = {"name": "dpo", "run": family["sft1"], "reference": "adapters-off"}
    fit(tiny.recipe(task, train, steps=3, lr=1e-2, lora={"rank": 2}), tmp_path / "tuned", progress=False)
    merging.merge(tmp_path / "policy", [str(tmp_path / "tuned")])
    tuned, plain = load(tmp_path / "tuned")[1], load(tmp_path / "policy")[1]
    assert not [name for name in tensors(plain) if "lora" in name]
    given = tiny.batch("abc")
    embedded = tuned.policy.ask(given).embeddings[0][None]
    torch.testing.assert_close(plain.backbone(embedded), tuned.policy.backbone(embedded), atol=1e-5, rtol=0)


def refused(tmp_path, capsys, *words):
    """What the command says of words that it does not carry out, in one line; nothing is written."""
    assert main(["merge", *map(str, words), "-o", str(tmp_path / "new")]) == 2, words
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and not (tmp_path / "new").exists(), told
    return told


OPTIONS = {"weights": "2,1", "base": "BASE", "scale": "0.5", "density": "0.5", "way": "0.3"}
TAKEN = {
    "linear": {"weights"},
    "task-arithmetic": {"weights", "base", "scale"},
    "ties": {"weights", "base", "scale", "density"},
    "slerp": {"way"},
}


@pytest.mark.parametrize("method", TAKEN)
def test_every_option_is_heeded_or_refused(method, family, tmp_path, capsys):
    """An option that a method does not take is refused; of those that it takes, another value gives other weights."""
    assert set(TAKEN) == set(mergeable.METHODS)
    runs = [family["sft1"], family["sft2"]]
    needed = ["--base", family["base"]] if "base" in TAKEN[method] else []
    main(["merge", *runs, "--method", method, *needed, "-o", str(tmp_path / "plain")])
    capsys.readouterr()
    plain = digests(load(tmp_path / "plain")[1])
    for option, value in OPTIONS.items():
        words = [*runs, "--method", method, f"--{option}", value.replace("BASE", family["base"])]
        if option not in TAKEN[method]:
            told = refused(tmp_path, capsys, *words, *needed)
            assert f"--{option}: the method '{method}' takes no {option}" in told
        elif option != "base":
            assert main(["merge", *words, *needed, "-o", str(tmp_path / option)]) == 0
            assert digests(load(tmp_path / option)[1]) != plain, option
    if needed:
        assert "needs a base" in refused(tmp_path, capsys, *runs, "--method", method)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sft1", "sft1"), "named twice"),
        (("sft1", "sft1/../sft1", "sft2"), "named twice"),
        (("sft1", "sft2", "--method", "ties", "--base", "sft1"), "is one of the runs"),
        (("sft1", "--method", "slerp"), "to one other; 1 are named"),
        (("sft1", "sft2", "dpo", "--method", "slerp"), "to one other; 3 are named"),
        (("sft1", "--weights", "3"), "a single run is taken as it is"),
        (("sft1", "--weights", "1,2"), "1 runs and 2 weights"),
        (("sft1", "sft2", "--weights", ""), "numbers with commas"),
        (("sft1", "sft2", "--weights", "1,nan"), "must be finite"),
        (("sft1", "sft2", "--weights", "1,-1"), "their sum not 0"),
        (("sft1", "sft2", "--method", "ties", "--base", "base", "--weights", "2,-1"), "none of them below 0"),
        (("sft1", "sft2", "--method", "ties", "--base", "base", "--density", "0"), "at most 1, not 0"),
        (("sft1", "sft2", "--method", "ties", "--base", "base", "--scale", "inf"), "a finite number"),
        (("sft1", "sft2", "--method", "slerp", "--way", "1.5"), "between 0 and 1"),
        (("sft1", "gone"), "gone"),
    ],
)
def test_what_means_nothing_is_refused_in_a_sentence(words, told, family, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(Path(family["sft1"]).parent)
    assert told in refused(tmp_path, capsys, *words)


def test_a_task_may_be_unlearnt(family, tmp_path):
    """Weights below 0 take away what was learnt (arXiv 2212.04089), and may add up to 0."""
    names = [family["sft1"], family["sft2"]]
    merging.merge(tmp_path / "new", names, "task-arithmetic", shares=[1, -1], base=family["base"])
    base, one, two, new = (found(name) for name in (family["base"], *names, tmp_path / "new"))
    for name, tensor in new.items():
        torch.testing.assert_close(tensor, base[name] + one[name] - two[name], atol=1e-5, rtol=0)


def test_a_folder_that_is_in_use_is_left_alone(family, tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "member", None)  # it is refused before any weights are read
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for folder, told in (("file", "is a file"), ("full", "holds files already")):
        with pytest.raises(StentorError, match=told):
            merging.merge(tmp_path / folder, [family["sft1"]])
    with pytest.raises(StentorError, match="holds a run already"):
        merging.merge(Path(family["sft2"]), [family["sft1"]])
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "notes.txt").read_text() == "mine"
    monkeypatch.undo()
    (tmp_path / "empty").mkdir()
    merging.merge(tmp_path / "empty", [family["sft1"]])


def test_runs_that_differ_are_refused(family, tmp_path, capsys):
    def kept(name, **changes):
        return tiny.kept(tmp_path / name, tiny.policy(**changes), **changes)

    backbone = tiny.CONFIG["backbone"]
    letters = tiny.kept(tmp_path / "letters", assemble(tiny.CONFIG, texts=["xyz"]))
    narrow, deep = kept("narrow", backbone={**backbone, "dim": 16}), kept("deep", backbone={**backbone, "layers": 3})
    assert "different tokenizers (their 'text')" in refused(tmp_path, capsys, family["sft1"], letters)
    told = refused(tmp_path, capsys, family["sft1"], narrow)
    assert "different models" in told and re.search(r": \[\d+, 32\] and \[\d+, 16\]\)", told)
    assert ": [32] and none)" in refused(tmp_path, capsys, deep, family["sft1"])
    one = mergeable.member(family["sft1"])
    with pytest.raises(StentorError, match="different vocabularies"):
        mergeable.alike([one, replace(one, vocabulary=["another"])])
    with pytest.raises(StentorError, match="different tasks, 'text-lm' and 'speech-lm'"):
        mergeable.alike([one, replace(one, config={**one.config, "task": {"name": "speech-lm"}})])


def test_options_that_no_shape_shows_are_told(family, tmp_path):
    """With the same shapes another number of heads is another model; merging goes on, since it may be meant."""
    backbone = {**tiny.CONFIG["backbone"], "heads": 4}
    other = tiny.kept(tmp_path / "other", tiny.policy(backbone=backbone), backbone=backbone)
    with pytest.warns(UserWarning, match=r"backbone.heads \(2 and 4\)"):
        merging.merge(tmp_path / "new", [family["sft1"], str(other)])
