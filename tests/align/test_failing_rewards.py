"""Rewards that fail, hang or say nothing: what becomes of the run, and what its figures are the means of."""

import math
import shutil
import time

import pytest
import tiny
import torch
from hearing import Weighed

from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train import fit, load
from stentor.train.assembly import assemble
from stentor_align.rewards import safety
from stentor_align.tasks.figures import Figures


class Moody(Reward):
    """Gives 1 where the reference begins with an a, NaN elsewhere; `slow` seconds for each call."""

    nature = "verifiable"
    calls = 0

    def __init__(self, *, slow: float = 0.0, never: bool = False) -> None:
        self.slow, self.never = slow, never

    def score(self, prompts, responses):
        type(self).calls += 1
        time.sleep(self.slow)
        fine = [not self.never and prompt["reference"].startswith("a") for prompt in prompts]
        total = torch.tensor([1.0 if one else math.nan for one in fine])
        return Scores(total, {"odd": torch.tensor([1.0 if one else math.inf for one in fine])})


@pytest.fixture(autouse=True)
def moody(monkeypatch):
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    found.add("reward", "moody", f"{__name__}:Moody")
    Moody.calls = 0


def tuned(parent, **options):
    section = {"name": "grpo", "run": str(parent), "reward": {"name": "moody"}, "samples": 2, **options}
    task = assemble({"task": section}, texts=[])
    task.load_pretrained()
    return task


def test_a_mean_knows_how_many_it_is_of():
    found = Figures()
    found.add("one", torch.tensor([1.0, math.nan, 3.0, math.inf]))
    found.add("none", [math.nan])
    assert found.means == {"one": 2.0, "none": 0.0} and found.counts == {"one": 2, "none": 0}


def test_validation_leaves_out_what_could_not_be_scored(parent, tmp_path):
    train = tiny.manifest(tmp_path, [("abc", {}), ("fed", {}), ("bed", {}), ("cab", {})])
    task = {"name": "grpo", "run": str(parent), "reward": {"name": "moody"}, "samples": 2,
            "judge": {"name": "format", "pattern": "x"}}  # fmt: skip
    data = {"valid": str(train), "batch_seconds": 0.5}  # a batch for each row, most of which have no reward at all
    assert fit(tiny.recipe(task, train, steps=2, valid_every=2, data=data), tmp_path / "some", progress=False)
    told = tiny.lines(tmp_path / "some")[-1]
    assert told["valid_reward"] == told["valid_reward/odd"] == 1 and told["valid_loss"] == -1
    assert told["valid_dropped"] == 0.75 and told["valid_judge/dropped"] == 0
    task["reward"] = {"name": "moody", "never": True}
    assert fit(tiny.recipe(task, train, steps=2, valid_every=2, data=data), tmp_path / "none", progress=False)
    told = tiny.lines(tmp_path / "none")[-1]
    assert told["valid_dropped"] == 1 and "valid_reward" not in told and "valid_loss" not in told


def test_a_run_that_learns_nothing_says_so(parent):
    task = tuned(parent, reward={"name": "moody", "never": True}).train()
    for _ in range(9):
        task.training_loss(tiny.batch("abc"))
    with pytest.warns(UserWarning, match="none of the last 10 batches got a reward"):
        task.training_loss(tiny.batch("abc"))


def test_every_reward_has_a_limit(parent):
    task = tuned(parent, reward={"name": "moody", "slow": 0.3}, timeout=0.1).train()
    with pytest.warns(UserWarning, match=r"more than 0\.1 s"):
        loss = task.training_loss(tiny.batch("abc"))
    assert loss.parts["dropped"] == 1 and loss.counts["reward"] == 0


def test_what_was_given_up_is_not_asked_again_before_it_is_done():
    reward = Moody(slow=0.5)
    asked = [{"reference": "a"}], [{"text": "b"}]
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"more than 0\.05 s"):
            assert safety.score(reward, *asked, timeout=0.05).total.isnan().all()
    assert Moody.calls == 1
    time.sleep(0.6)
    reward.slow = 0.0
    assert safety.score(reward, *asked, timeout=5).total.tolist() == [1]


def test_a_tuned_run_that_is_loaded_to_answer_needs_no_reward(parent, tmp_path, monkeypatch):
    train = tiny.manifest(tmp_path, [("abc", {}), ("fed", {})])
    task = {"name": "grpo", "run": str(parent), "reward": {"name": "moody"}, "samples": 2}
    read = []
    monkeypatch.setattr(Moody, "load_pretrained", lambda self: read.append(1) or {"name": "moody"})
    assert fit(tiny.recipe(task, train, steps=2), tmp_path / "run", progress=False)
    assert read == [1] and "reward.name" in (tmp_path / "run" / "provenance.json").read_text()
    _, found = load(tmp_path / "run")
    assert found.predict(tiny.batch("abc")) and read == [1]
    found.train().training_loss(tiny.batch("abc"))
    assert read == [1, 1]


def test_a_reward_that_cannot_be_hashed_scores_like_any_other():
    assert safety.score(Weighed(weight=2.0), [{}], [{"text": "abc"}], timeout=5).total.tolist() == [6]


def test_validation_goes_on_where_the_parent_is_not_what_it_was(parent, tmp_path):
    moved = tiny.kept(tmp_path / "moved")
    task = tuned(moved).train()
    batch = tiny.batch("abc")
    task.training_loss(batch)
    assert "divergence" in task.eval().training_loss(batch).parts
    shutil.rmtree(moved)
    assert "divergence" in task.training_loss(batch).parts  # it is still in memory
    task.train()
    with pytest.warns(UserWarning, match="is not what it was: "):
        found = task.eval().training_loss(batch)
    assert "reward" in found.parts and not {"divergence", "drift/length"} & set(found.parts)
    tiny.kept(tmp_path / "moved", tiny.policy(seed=5))
    task.train()
    with pytest.warns(UserWarning, match="trained further meanwhile"):
        assert "divergence" not in task.eval().training_loss(batch).parts
