"""Task ``ppo`` against PPO written out plainly, token by token: the same loss, the same gradient, in every reuse."""

import copy
import math

import pytest
import tiny
import tiny_voice
import torch

from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor_align.tasks.ppo import PPOTask

pytestmark = pytest.mark.usefixtures("one_thread")

SCORES = (0.5, -1.0, math.nan, 2.0, 0.0, 3.0, math.nan, -0.5)
"""Of the samples in their order; two are lost."""
CLIP, VALUE_CLIP, VALUE_WEIGHT, DISCOUNT, DECAY, KL = 0.15, 0.05, 0.7, 0.97, 0.9, 0.2


class Listed(Reward):
    """Scores in order."""

    nature = "verifiable"

    def score(self, prompts, responses):
        return Scores(torch.tensor(SCORES[: len(responses)]), {})


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    found.add("reward", "listed", f"{__name__}:Listed")


def log_probs(policy, prompts, owner, tokens):
    """Of a response's tokens, one after the other, each among what the grammar allows there."""
    backbone, rules = policy.backbone, prompts.grammars([owner])[0]
    read = torch.cat([prompts.embeddings[owner], backbone.embed(torch.tensor(tokens))])
    hidden = backbone(read[None])[0]
    state, found = rules.start(), []
    for place, token in enumerate(tokens):
        logits = backbone.project(hidden[len(prompts.embeddings[owner]) - 1 + place])
        allowed = rules.allowed(state).clone()  # made under inference mode
        found.append(logits[token] - logits[allowed].logsumexp(0))
        state = rules.advance(state, token)
    return torch.stack(found)


def values(policy, critic, prompts, owner, tokens):
    """What the critic makes of what stands before each token; no gradient of it reaches the policy."""
    own = critic.backbone or policy.backbone
    read = torch.cat([prompts.embeddings[owner].detach(), policy.backbone.embed(torch.tensor(tokens)).detach()])
    if critic.backbone is not None:
        read = torch.cat([prompts.embeddings[owner].detach(), own.embed(torch.tensor(tokens))])
    hidden = own(read[None])[0]
    hidden = hidden if critic.backbone is not None else hidden.detach()
    first = len(prompts.embeddings[owner]) - 1
    return torch.stack([critic.head(hidden[first + place])[0] for place in range(len(tokens))])


class Plain:
    """PPO after arXiv 1707.06347 with advantages after 1506.02438, one response and one token at a time.

    Args:
        task: whose policy and critic have just said `made`, and have not learnt from it yet.
        batch: that was asked.
        made: the rollout.
        left_out: ids that bear no loss and pay for no divergence.
    """

    def __init__(self, task, batch, made, left_out):
        self.batch, self.made, self.left_out = batch, made, left_out
        self.rows = [row for row in range(len(made.tokens)) if not math.isnan(SCORES[row])]
        policy, critic = copy.deepcopy(task.policy).eval(), copy.deepcopy(task.critic)
        self.old, self.before, self.returns, gains = {}, {}, {}, {}
        with torch.no_grad():
            prompts, others = policy.ask(batch), task.reference.ask(batch)
            for row in self.rows:
                owner, tokens = made.owners[row], made.tokens[row]
                self.old[row] = log_probs(policy, prompts, owner, tokens)
                apart = self.old[row] - log_probs(task.reference, others, owner, tokens)
                self.before[row] = values(policy, critic, prompts, owner, tokens)
                rewards = [0.0 if token in left_out else -KL * float(apart[t]) for t, token in enumerate(tokens)]
                rewards[-1] += SCORES[row]
                gains[row] = advantages(rewards, self.before[row].tolist())
                self.returns[row] = [gain + float(v) for gain, v in zip(gains[row], self.before[row], strict=True)]
        every = torch.tensor([gain for row in self.rows for gain in gains[row]], dtype=torch.float64)
        self.gains = {row: [(gain - every.mean()) / every.std(correction=0) for gain in gains[row]]
                      for row in self.rows}  # fmt: skip

    def loss(self, task):
        """Of the policy and the critic as they are now, and the share of tokens whose ratio is clipped."""
        prompts, policy_losses, value_losses, clipped = task.policy.ask(self.batch), [], [], []
        for row in self.rows:
            owner, tokens = self.made.owners[row], self.made.tokens[row]
            now, predicted = (log_probs(task.policy, prompts, owner, tokens),
                              values(task.policy, task.critic, prompts, owner, tokens))  # fmt: skip
            for t, token in enumerate(tokens):
                gain, target, was = float(self.gains[row][t]), self.returns[row][t], self.before[row][t]
                near = was + min(max(float(predicted[t] - was), -VALUE_CLIP), VALUE_CLIP)
                moved = near if abs(float(predicted[t] - was)) > VALUE_CLIP else predicted[t]
                value_losses.append(0.5 * torch.stack([(predicted[t] - target) ** 2, (moved - target) ** 2]).max())
                if token not in self.left_out:
                    ratio = (now[t] - self.old[row][t]).exp()
                    bounded = min(max(float(ratio), 1 - CLIP), 1 + CLIP)
                    gained = ratio * gain if float(ratio) * gain <= bounded * gain else bounded * gain
                    clipped.append(float(not torch.is_tensor(gained)))
                    policy_losses.append(-torch.as_tensor(gained))
        policy_loss, value_loss = (torch.stack(found).mean() for found in (policy_losses, value_losses))
        return policy_loss + VALUE_WEIGHT * value_loss, sum(clipped) / len(clipped)


def advantages(rewards, predicted):
    """Generalised advantages of one response, from its last token to its first."""
    found, running, following = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards), reversed(predicted), strict=True):
        running = reward + DISCOUNT * following - value + DISCOUNT * DECAY * running
        following = value
        found.insert(0, running)
    return found


def tuned(policy, critic, left_out):
    """A task whose policy is not its reference any more, and whose critic foretells something."""
    torch.manual_seed(1)
    task = PPOTask(policy, reward={"name": "listed"}, samples=4, iterations=3, warmup=0, critic=critic, clip=CLIP,
                   value_clip=VALUE_CLIP, value_weight=VALUE_WEIGHT, discount=DISCOUNT, decay=DECAY, kl=KL,
                   left_out=left_out).train()  # fmt: skip
    with torch.no_grad():
        for parameter in [*task.policy.parameters(), *task.critic.parameters()]:
            parameter.add_(0.02 * torch.randn_like(parameter))
    task.refresh()
    return task


def gradients(task):
    return {name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
            for name, one in task.named_parameters() if one.requires_grad}  # fmt: skip


def compare(task, batch, left_out):
    """Three uses of one rollout, a step of descent after each."""
    optimiser, shares, plain = torch.optim.SGD(task.parameters(), lr=0.02), [], None
    for use in range(3):
        optimiser.zero_grad()
        if plain is None:
            state, copied = torch.get_rng_state(), copy.deepcopy(task)
            plain = Plain(task, batch, copied.gather(batch).rollout, left_out)
            torch.set_rng_state(state)
        loss = task.training_loss(batch)
        loss.value.backward()
        found = gradients(task)
        optimiser.zero_grad()
        expected, share = plain.loss(task)
        expected.backward()
        torch.testing.assert_close(loss.value, expected.float(), atol=1e-5, rtol=1e-5)
        for name, grad in gradients(task).items():
            torch.testing.assert_close(found[name], grad, atol=1e-5, rtol=1e-4, msg=lambda told, name=name: name + told)
        assert loss.parts["clipped"] == pytest.approx(share) and loss.parts["dropped"] == 0.25
        shares.append(share)
        assert use or share == 0, "nothing has moved yet"
        optimiser.step()
    assert 0 < shares[-1] < 1, "old and new differ, and some ratios are clipped"
    assert task._kept is None


@pytest.mark.parametrize("critic", ["own", "head"])
def test_on_text(critic):
    compare(tuned(tiny.policy(), critic, []), tiny.batch("abc", "fed"), set())


@pytest.mark.parametrize("critic", ["own", "head"])
def test_on_a_voice_with_one_codebook_left_out(critic):
    pytest.importorskip("stentor_tts")
    task = tuned(tiny_voice.policy(), critic, ["codes.semantic"])
    block = task.policy.vocabulary.block("codes.semantic")
    texts = ["stop", "set noon"]
    batch = {"ids": ["a", "b"], "texts": texts, "speakers": ["ada"] * 2, "custom": [{}, {}], "seconds": 2.0}
    compare(task, batch, set(block.range))
