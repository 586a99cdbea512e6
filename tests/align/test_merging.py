"""Merging runs: exact, with lineage, refused where it would mean nothing."""

import json

import pytest
import tiny
import torch

from stentor.cli import main
from stentor.errors import StentorError
from stentor.train import fit, load
from stentor.train.assembly import assemble
from stentor.train.weights import digests, tensors
from stentor_align import merging


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


def test_what_cannot_be_merged_is_refused(family, tmp_path):
    other = tiny.kept(tmp_path / "other", assemble(tiny.CONFIG, texts=["xyz"]))
    backbone = {"name": "causal-lm", "dim": 16, "layers": 2, "heads": 2}
    narrow = tiny.kept(tmp_path / "narrow", tiny.policy(backbone=backbone), backbone=backbone)
    for names, options, told in (
        ([family["sft1"], str(other)], {}, "different tokenizers"),
        ([family["sft1"], str(narrow)], {}, "different models"),
        ([family["sft1"]], {"shares": [1, 2]}, "1 runs and 2 weights"),
        ([family["sft1"], family["sft2"]], {"shares": [float("nan"), 1]}, "finite ones"),
        ([family["sft1"]], {"method": "ties"}, "needs a base"),
        ([family["sft1"]], {"base": family["base"]}, "takes no base"),
    ):
        with pytest.raises(StentorError, match=told):
            merging.merge(tmp_path / "new", names, **options)
        assert not (tmp_path / "new").exists()
