"""Reinforcement learning: rewards rise, what is promised of advantages, warm-up and reuse holds, nothing ends a run."""

import copy
import math

import pytest
import tiny
import torch

from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train import fit, load
from stentor.train.assembly import assemble
from stentor.train.weights import digests
from stentor_align import legal, logprobs

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = tiny.batch("abc", "fed")
STARTS = {"name": "format", "pattern": "a.*"}
"""A reward that a policy learns in seconds: begin with an a."""


class Told(Reward):
    """Scores in order, over and over; what is to fail raises."""

    nature = "verifiable"

    def __init__(self, *, scores: tuple[float, ...] = (0.0, 1.0), fails: bool = False) -> None:
        self.scores, self.fails = scores, fails

    def score(self, prompts, responses):
        if self.fails:
            raise RuntimeError("no reward today")
        values = torch.tensor([self.scores[n % len(self.scores)] for n in range(len(responses))])
        return Scores(values, {"told": values})


@pytest.fixture(autouse=True)
def told(monkeypatch):
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    found.add("reward", "told", f"{__name__}:Told")


def tuned(parent, name="grpo", **options):
    torch.manual_seed(1)
    task = assemble({"task": {"name": name, "run": str(parent), **options}}, texts=[])
    task.load_pretrained()
    return task.train()


def told_scores(*scores, fails=False):
    return {"name": "told", "scores": scores or (0.0, 1.0), "fails": fails}


def gradients(task):
    return {name: one.grad for name, one in task.named_parameters() if one.requires_grad}


@pytest.mark.parametrize(
    "options",
    [
        {"name": "grpo", "samples": 8},
        {"name": "ppo", "samples": 8, "warmup": 5, "kl": 0.01},
        {"name": "raft", "samples": 8},
    ],
    ids=lambda options: options["name"],
)
def test_the_reward_rises_and_the_run_loads_again(parent, tmp_path, options):
    train = tiny.manifest(tmp_path, [(text, {}) for text in ("abc", "fed", "cab", "bed")])
    task = {"run": str(parent), "reward": STARTS, "sampling": {"longest": 4}, **options}
    assert fit(tiny.recipe(task, train, steps=30, lr=5e-3), tmp_path / "run", progress=False)
    told = tiny.lines(tmp_path / "run")
    first, last = (sum(line["reward"] for line in part) / 5 for part in (told[:5], told[-5:]))
    assert last > first + 0.3
    assert all(line["reward/legal"] == line["reward"] and line["dropped"] == 0 for line in told)
    recipe, found = load(tmp_path / "run")
    assert recipe.task == options["name"] and found.predict(BATCH)


def test_grpo_descends_what_its_advantages_say(parent):
    """On the policy that sampled, the gradient is that of the advantages times the log-probabilities."""
    task = tuned(parent, samples=4, reward=told_scores(0.0, 1.0, 5.0, 2.0), average="token")
    torch.manual_seed(5)
    task.training_loss(BATCH).value.backward()
    found = {name: grad.clone() for name, grad in gradients(task).items()}
    task.zero_grad()
    torch.manual_seed(5)
    made = task.gather(BATCH).rollout
    gains = torch.tensor([0.0, 1, 5, 2]) - 2
    gains = (gains / (gains.std() + 1e-4)).repeat(2)
    prompts = task.policy.ask(BATCH)
    total = torch.zeros(())
    for tokens, owner, gain in zip(made.tokens, made.owners, gains, strict=True):
        read = logprobs.read(task.policy.backbone, [prompts.embeddings[owner]], [tokens])
        scored = logprobs.score(task.policy.backbone, read, legal=legal.along(prompts.grammar, [tokens]))
        total = total - gain * scored.log_probs.sum()
    (total / sum(map(len, made.tokens))).backward()
    for name, grad in gradients(task).items():
        torch.testing.assert_close(found[name], grad, atol=1e-5, rtol=1e-4)


def test_groups_of_equal_rewards_teach_nothing_and_are_not_read(parent, monkeypatch):
    task = tuned(parent, samples=4, reward=told_scores(*[1.0] * 4, 0.0, 1.0, 1.0, 1.0))
    read = []
    original = logprobs.read
    monkeypatch.setattr(logprobs, "read", lambda *given, **more: read.append(given[2]) or original(*given, **more))
    loss = task.training_loss(BATCH)
    assert [len(rows) for rows in read] == [4] and loss.parts["level"] == 0.5
    level = tuned(parent, samples=2, reward=told_scores(1.0)).training_loss(BATCH)
    assert level.parts["level"] == 1 and len(read) == 1
    level.value.backward()
    assert float(level.value.detach()) == 0


@pytest.mark.parametrize("name", ["grpo", "ppo", "raft"])
def test_samples_without_a_reward_are_left_out_and_a_batch_of_them_teaches_nothing(parent, name):
    more = {"warmup": 0} if name == "ppo" else {}
    task = tuned(parent, name, samples=4, reward=told_scores(0.0, math.nan, 1.0, 2.0), **more)
    loss = task.training_loss(BATCH)
    assert loss.parts["dropped"] == 0.25 and loss.parts["reward"] == 1 and math.isfinite(float(loss.value.detach()))
    for reward in (told_scores(math.nan), told_scores(fails=True)):
        task = tuned(parent, name, samples=2, reward=reward, **more)
        loss = task.training_loss(BATCH)
        loss.value.backward()
        assert loss.parts["dropped"] == 1 and float(loss.value.detach()) == 0
        assert all(grad is not None and not grad.any() for grad in gradients(task).values())


def test_an_empty_response_is_scored_and_learnt_from_like_any_other(parent):
    task = tuned(parent, samples=2, reward=told_scores(0.0, 1.0))
    with torch.no_grad():  # the end is all that it will say
        end = task.policy.vocabulary.control("end")
        table = task.policy.backbone.decoder.embed_tokens.weight
        table[end] = 0
        hidden = task.policy.backbone(torch.cat(list(task.policy.ask(BATCH).embeddings))[None])[0, -1]
        table[end] = 20 * hidden / hidden.norm()
    found = task.gather(tiny.batch("fed"))
    assert found.rollout.tokens == [[end], [end]] and found.figures.means["length"] == found.figures.means["ended"] == 1
    loss = task.training_loss(tiny.batch("fed"))
    loss.value.backward()
    assert math.isfinite(float(loss.value.detach())) and loss.units == 2


def test_unfinished_responses_can_be_left_out(parent):
    options = {"samples": 8, "reward": told_scores(), "sampling": {"longest": 2}}
    whole, dropped = (tuned(parent, unfinished=how, **options).training_loss(BATCH).parts for how in ("score", "drop"))
    assert whole["dropped"] == 0 and dropped["dropped"] == pytest.approx(1 - whole["ended"]) and 0 < whole["ended"] < 1


def test_reuse_keeps_the_old_probabilities_and_clips(parent):
    task = tuned(parent, samples=4, iterations=3, reward=told_scores(0.0, 1.0, 2.0, 3.0))
    optimiser = torch.optim.SGD(task.parameters(), lr=3.0)
    seen, clipped = [], []
    for _ in range(4):
        optimiser.zero_grad()
        kept = task._kept
        loss = task.training_loss(BATCH)
        seen.append(None if kept is None else kept.rollout.tokens)
        clipped.append(loss.parts["clipped"])
        loss.value.backward()
        optimiser.step()
    assert seen[0] is None and seen[1] == seen[2] is not None and seen[3] is None
    assert clipped[0] == 0 == clipped[3] and clipped[2] > 0


def test_what_is_in_use_comes_back_from_a_checkpoint(parent, tmp_path):
    task = tuned(parent, "ppo", samples=2, iterations=2, warmup=0, reward=told_scores(), kl_target=1.0)
    task.training_loss(BATCH)
    torch.save(task.training_state(), tmp_path / "state.pt")
    other = tuned(parent, "ppo", samples=2, iterations=2, warmup=0, reward=told_scores(), kl_target=1.0)
    other.load_training_state(torch.load(tmp_path / "state.pt", weights_only=True))
    one, two = task.training_loss(BATCH), other.training_loss(tiny.batch("cab", "cab"))
    assert torch.equal(one.value, two.value) and one.parts == two.parts
    assert other._kept is None and other.steps == 2 and other.coefficient.value == task.coefficient.value != 0.05


@pytest.mark.parametrize("critic", ["own", "head"])
def test_in_warm_up_the_critic_learns_alone(parent, critic):
    task = tuned(parent, "ppo", samples=4, warmup=3, critic=critic, reward=told_scores(0.0, 4.0), value_clip=None)
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-2, weight_decay=0.1)
    begun, losses = digests(task.policy), []
    for step in range(6):
        optimiser.zero_grad()
        loss = task.training_loss(BATCH)
        loss.value.backward()
        optimiser.step()
        losses.append(loss.parts["value_loss"])
        assert (digests(task.policy) == begun) == (step < 3), step
        assert loss.parts["warming"] == (step < 3)
    assert losses[2] < losses[0]
    assert (task.critic.backbone is None) == (critic == "head")


def test_ppo_pays_for_divergence_and_adapts_its_price(parent):
    task = tuned(parent, "ppo", samples=4, warmup=0, kl=0.5, kl_target=2.0, kl_horizon=100, reward=told_scores(1.0))
    still = task.training_loss(BATCH).parts
    assert abs(still["kl"]) < 1e-4 and still["kl_weight"] == pytest.approx(0.5 * (1 - 0.2 * 8 / 100))
    with torch.no_grad():
        for parameter in task.policy.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    moved = task.gather(BATCH)
    extra = task.prepare(moved)
    assert extra["numbers"]["kl"] > 0.1
    paid = extra["returns"][:, 0] - 1
    assert (paid < 0).float().mean() > 0.5, "the first value counts what the whole response pays"


def test_in_validation_nothing_is_learnt_and_the_loss_is_minus_the_reward(parent):
    task = tuned(parent, samples=4, reward=STARTS).eval()
    with torch.no_grad():
        one, again = (task.training_loss(BATCH) for _ in range(2))
    assert torch.equal(one.value, again.value) and float(one.value) == -one.parts["reward"]
    assert task.training_state()["experience"] == {}


def test_raft_imitates_the_best(parent):
    task = tuned(parent, "raft", samples=3, keep=1, above=0.5, reward=told_scores(1.0, 3.0, 2.0, 0.0, 0.1, 0.2))
    torch.manual_seed(2)
    made = copy.deepcopy(task).gather(BATCH).rollout
    torch.manual_seed(2)
    loss = task.training_loss(BATCH)
    assert loss.parts["kept"] == pytest.approx(1 / 6) and loss.parts["best"] == 3
    assert float(loss.value.detach()) == pytest.approx(-float(made.log_probs[1].mean()), rel=1e-4)


def test_options_that_make_no_sense_are_refused(parent):
    faults = [("grpo", {"samples": 1}), ("raft", {"keep": 9}), ("ppo", {"decay": 2.0}), ("grpo", {"iterations": 0})]
    faults += [("grpo", {"sampling": {"temperature": 0.0}}), ("grpo", {"left_out": ["audio"]})]
    for name, wrong in faults:
        with pytest.raises(StentorError):
            tuned(parent, name, **wrong)
