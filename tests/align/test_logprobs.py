"""Log-probabilities of responses: those of a plain pass, however they are packed, chunked and masked."""

import pytest
import tiny
import torch

from stentor.errors import StentorError
from stentor.sequence.grammar import interleave, only
from stentor_align import legal, logprobs

SIZE = tiny.policy().vocabulary.size
RESPONSES = [[3, 1, 4], [1], [5, 2, 6, 5, 3], [], [2, 2, 7]]
OWNERS = [0, 0, 1, 1, 0]


@pytest.fixture(scope="module")
def policy():
    return tiny.policy()


def prompts(policy):
    generator = torch.Generator().manual_seed(3)
    return [policy.backbone.embed(torch.randint(0, SIZE, (n,), generator=generator)) for n in (6, 3)]


def plain(policy, prompts, temperature=1.0, mask=None):
    """One padded pass per response, logits everywhere."""
    found = []
    for tokens, owner in zip(RESPONSES, OWNERS, strict=True):
        if tokens:
            ids = torch.tensor(tokens)
            hidden = policy.backbone(torch.cat([prompts[owner], policy.backbone.embed(ids)])[None])[0]
            logits = policy.backbone.project(hidden)[len(prompts[owner]) - 1 : -1] / temperature
            if mask is not None:
                logits = logits.masked_fill(~mask, -torch.inf)
            found.append(logits.log_softmax(-1).gather(1, ids[:, None])[:, 0])
    return torch.cat(found)


def scored(policy, prompts, **options):
    return logprobs.score(policy.backbone, logprobs.read(policy.backbone, prompts, RESPONSES, OWNERS), **options)


def gradients(value, policy):
    return torch.autograd.grad(value.square().sum(), list(policy.parameters()))


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize("budget", [1 << 23, 40])
def test_values_and_gradients_are_those_of_plain_passes(policy, monkeypatch, forks, budget):
    monkeypatch.setattr(type(policy.backbone), "capabilities", frozenset({"forks"} if forks else ()))
    monkeypatch.setattr(logprobs, "_LOGITS", budget)
    mask = torch.arange(SIZE) % 8 != 0
    found = scored(
        policy,
        prompts(policy),
        temperature=1.5,
        legal=legal.along(only(SIZE, mask.nonzero()[:, 0].tolist()), RESPONSES),
    )
    expected = plain(policy, prompts(policy), 1.5, mask)
    torch.testing.assert_close(found.log_probs, expected, atol=1e-5, rtol=0)
    for one, other in zip(gradients(found.log_probs, policy), gradients(expected, policy), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_rows_and_totals(policy):
    found = scored(policy, prompts(policy))
    values, counts = found.rows()
    assert values.shape == (5, 5) and counts.sum(1).tolist() == [3, 1, 5, 0, 3]
    sums, numbers = found.totals()
    torch.testing.assert_close(sums, values.sum(1))
    assert numbers.tolist() == [3, 1, 5, 0, 3]


def test_hidden_states_after_a_token_have_read_it(policy):
    given = prompts(policy)
    found = logprobs.read(policy.backbone, given, RESPONSES, OWNERS, after=True)
    ids = torch.tensor(RESPONSES[2])
    whole = policy.backbone(torch.cat([given[1], policy.backbone.embed(ids)])[None])[0]
    torch.testing.assert_close(found.after[4:9], whole[-5:], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.before[4:9], whole[-6:-1], atol=1e-5, rtol=0)


def test_the_gradient_of_tokens_that_bear_no_loss_is_exactly_zero(policy, monkeypatch):
    """At the places that predict such tokens there are not even logits."""
    bearing = torch.ones(SIZE, dtype=torch.bool)
    bearing[5:] = False
    found = logprobs.read(policy.backbone, prompts(policy), RESPONSES, OWNERS)
    hidden = found.before.detach().requires_grad_()
    apart = logprobs.Read(hidden, None, found.ids, found.lengths)
    result = logprobs.score(policy.backbone, apart, bearing=bearing)
    torch.autograd.backward(result.log_probs.square().sum())
    quiet = ~bearing[found.ids]
    assert quiet.any() and not hidden.grad[quiet].any() and hidden.grad[~quiet].abs().sum(1).all()
    assert not result.log_probs[quiet].any() and result.counts.tolist() == (~quiet).tolist()
    all_of_them = scored(policy, prompts(policy)).log_probs
    torch.testing.assert_close(result.log_probs[~quiet], all_of_them[~quiet])


def test_nothing_at_all(policy):
    found = logprobs.read(policy.backbone, prompts(policy), [[], []])
    result = logprobs.score(policy.backbone, found)
    assert result.log_probs.shape == (0,) and result.totals()[0].tolist() == [0, 0]


def test_a_grammar_with_states_is_followed():
    grammar = interleave(10, [(range(4), 1), (range(4, 8), 2)], end=8, pad=9)
    found = legal.along(grammar, [[0, 4, 5, 1, 9, 9, 8], [8]])
    assert found.index[0] == found.index[-1] and len(found.index) == 8
    first, second = (found.masks[found.index[place]].nonzero()[:, 0].tolist() for place in (0, 1))
    assert first == [0, 1, 2, 3, 8, 9] and second == [4, 5, 6, 7, 9]
    with pytest.raises(StentorError, match="token 1 at place 1"):
        legal.along(grammar, [[0, 1]])


def test_entropy_is_that_of_the_masked_distribution(policy):
    read = logprobs.read(policy.backbone, prompts(policy), RESPONSES, OWNERS)
    two = legal.along(only(SIZE, range(8)), RESPONSES)
    probabilities = (policy.backbone.project(read.before)[:, :8] / 2).softmax(-1)
    expected = -(probabilities * probabilities.log()).sum(-1)
    torch.testing.assert_close(logprobs.entropy(policy.backbone, read.before, 2.0, two), expected, atol=1e-5, rtol=0)
