"""A run that begins with the weights of another."""

import json

import pytest
import torch
import toy

from stentor.errors import StentorError
from stentor.train import checkpoint, fit, load, resume
from stentor.train.initialise import Parent
from stentor.train.weights import digests, tensors


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return toy.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def parent(train, tmp_path_factory):
    """A run that has trained the encoder which it read from a pretrained source."""
    run = tmp_path_factory.mktemp("parent") / "run"
    fit(toy.recipe(train, encoder={"pretrained": 7}, steps=2), run, progress=False)
    return run


def test_it_begins_where_the_other_ended(train, parent, tmp_path):
    fit(toy.recipe(train, initialise=str(parent), steps=1), tmp_path / "child", progress=False)
    begun = tensors(load(tmp_path / "child", step=0)[1])
    for name, tensor in tensors(load(parent)[1]).items():
        assert torch.equal(begun[name], tensor), name
    assert digests(load(tmp_path / "child")[1]) != digests(load(parent)[1])


def test_a_frozen_pretrained_encoder_keeps_what_the_parent_made_of_it(train, parent, tmp_path):
    """Its source would give other values: what the parent changed must be kept in the run, also after a kill."""
    child = tmp_path / "child"
    options = {"encoder": {"pretrained": 7}, "freeze": ["encoder.*"], "initialise": str(parent)}
    fit(toy.recipe(train, **options, steps=2), child, progress=False)
    wanted = tensors(load(parent)[1])
    found = tensors(load(child)[1])
    assert all(torch.equal(found[name], wanted[name]) for name in wanted if name.startswith("encoder."))
    told = json.loads((child / "provenance.json").read_text())
    assert "encoder.linear.weight" not in told["frozen"]["tensors"]
    assert told["components"]["initialise"]["step"] == 2
    checkpoint.newest(child / "checkpoints").weights.unlink()
    before = digests(load(child, step=0)[1])
    assert resume(child, progress=False)
    after = digests(load(child)[1])
    assert {name for name in before if before[name] != after[name]} == {n for n in before if n.startswith("head.")}


def test_a_missing_parent_and_another_shape_are_told(train, parent, tmp_path, monkeypatch):
    with pytest.raises(StentorError, match="holds no run") as caught:
        fit(toy.recipe(train, initialise=str(tmp_path / "nowhere")), tmp_path / "child", progress=False)
    assert caught.value.path == "train.initialise"
    wider = _parent_of(parent)
    monkeypatch.setattr(toy.ToyEncoder, "dim", 6)
    monkeypatch.setattr("stentor.train.run._parent", lambda settings: wider)
    with pytest.raises(StentorError, match=r"the shape of 'encoder\.linear\.weight'"):
        fit(toy.recipe(train, initialise=str(parent)), tmp_path / "child", progress=False)
    assert not (tmp_path / "child").exists()


def _parent_of(run):
    return Parent(run, 2, {}, tensors(load(run)[1]))
