"""Guards against gaming: what is measured of a run beside its reward, and judges that are none."""

import pytest
import tiny
import torch

from stentor.errors import StentorError
from stentor.sequence.grammar import interleave
from stentor.train import fit
from stentor.train.assembly import assemble
from stentor_align.rollout import Rollout
from stentor_align.tasks import guards

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = tiny.batch("abc", "fed")
REWARD = {"name": "format", "pattern": "a.*"}
JUDGE = {"name": "answer", "pattern": "(.*)"}


def tuned(parent, name="grpo", **options):
    task = assemble({"task": {"name": name, "run": str(parent), "reward": REWARD, "samples": 4, **options}}, texts=[])
    task.load_pretrained()
    return task


@pytest.mark.parametrize("options", [{"name": "grpo"}, {"name": "grpo", "kl": 0.1}, {"name": "ppo"}, {"name": "raft"}])
def test_every_run_reports_them_in_validation_and_is_not_changed_by_it(parent, tmp_path, options):
    train = tiny.manifest(tmp_path, [(text, {}) for text in ("abc", "fed", "cab", "bed")])
    kept = {}
    for judge in (None, JUDGE):
        task = {"run": str(parent), "reward": REWARD, "samples": 4, "judge": judge, **options}
        data = {"valid": str(train)} if judge else {}
        folder = tmp_path / f"run-{bool(judge)}"
        assert fit(tiny.recipe(task, train, steps=4, valid_every=2, data=data), folder, progress=False)
        kept[bool(judge)] = tiny.lines(folder)
    told = kept[True][-1]
    for name in ("reward", "judge", "judge/readable", "divergence", "length", "distinct", "entropy"):
        assert f"valid_{name}" in told, name
    assert {"valid_probe/empty", "valid_probe/repeated", "valid_probe/longest"} <= set(told)
    assert [line["loss"] for line in kept[True]] == [line["loss"] for line in kept[False]]


def test_the_divergence_is_none_at_the_beginning_and_some_later(parent):
    for options in ({}, {"kl": 0.1}):
        task = tuned(parent, **options).eval()
        assert abs(task.training_loss(BATCH).parts["divergence"]) < 1e-4
        with torch.no_grad():
            for parameter in task.policy.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        task.refresh()
        assert task.training_loss(BATCH).parts["divergence"] > 0.1
        task.train()
        assert task._parent == []


def test_tricks_are_legal_and_what_a_reward_makes_of_them_is_told(parent):
    task = tuned(parent, reward={"name": "format", "pattern": "(.)\\1*"}, sampling={"longest": 5}).eval()
    found = task.training_loss(BATCH).parts
    assert found["probe/repeated"] == 1 and found["probe/empty"] == 0 and found["probe/longest"] == 0
    prompts = task.policy.ask(BATCH)
    end = prompts.stop_ids[0]
    made = Rollout([[3, 3, 4, end], [5, end]], [0, 1], [torch.zeros(4), torch.zeros(2)], [True, True])
    tricks = guards.tricks(prompts, made, [5, 3])
    assert tricks == {"empty": [[end]] * 2, "repeated": [[3] * 5, [3] * 3], "longest": [[3, 3, 4, 5, 3], [3, 3, 4]]}


def test_tricks_follow_an_interleave(parent):
    prompts = tuned(parent).policy.ask(BATCH)
    grammar = interleave(9, [(range(3), 1), (range(3, 6), 2)], end=7, pad=8)
    object.__setattr__(prompts, "grammar", grammar)
    object.__setattr__(prompts, "stop_ids", (7,))
    made = Rollout([[1, 4, 4, 7]], [0], [torch.zeros(4)], [True])
    tricks = guards.tricks(prompts, made, [6, 6])
    assert tricks["empty"][0] == [7] and tricks["repeated"][0] == [0, 4, 4, 0, 4, 4]
    state = grammar.start()
    for token in tricks["longest"][0]:
        assert grammar.allowed(state)[token] and token != 7
        state = grammar.advance(state, token)


def test_a_reward_is_not_its_own_judge(parent):
    composed = {
        "name": "composite",
        "parts": {"one": {"reward": REWARD}, "two": {"reward": {"name": "thought-length"}}},
    }
    for reward, judge in ((REWARD, REWARD), (composed, REWARD), (REWARD, composed), (composed, composed)):
        with pytest.raises(StentorError, match="cannot be the judge"):
            tuned(parent, reward=reward, judge=judge)
    tuned(parent, reward=composed, judge=JUDGE)
