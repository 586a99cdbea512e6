"""Losses by hand, against plain references, and in what their masks promise."""

import math

import pytest
import torch

from stentor.errors import StentorError
from stentor.sequence.vocabulary import Vocabulary
from stentor_align.losses import advantages, bradley_terry, clipped, kl, masks, preference, sequences


def near(found, expected, atol=1e-6):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=0)


def test_sums_and_means_leave_out_what_is_masked():
    values = torch.tensor([[1.0, 2, 3], [4, math.nan, 6], [7, 8, 9]], requires_grad=True)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    near(sequences.total(values, mask), [3, 4, 0])
    near(sequences.mean(values, mask), [1.5, 4, 0])
    near(sequences.mean_of_all(values, mask), 7 / 3)
    (gradient,) = torch.autograd.grad(sequences.mean(values, mask).sum(), values)
    near(gradient, [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 0]])


def test_rows_of_what_lies_end_to_end():
    near(sequences.padded(torch.arange(5.0), [2, 0, 3], -1), [[0, 1, -1], [-1, -1, -1], [2, 3, 4]])
    assert sequences.valid([2, 0, 3]).tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]


def test_whitened_values_have_mean_0_and_variance_1_where_they_count():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    found = sequences.whitened(torch.tensor([[1.0, 2, 3, 1e6], [10, 1e6, 0, 0]]), mask)
    near(found[mask].mean(), 0.0)
    near(found[mask].pow(2).mean(), 1.0)
    assert not found[~mask].any()


def test_preference_losses_by_hand():
    chosen, rejected = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 3.0])
    logistic = [math.log(1 + math.exp(-0.5 * margin)) for margin in (1, -4)]
    near(preference.dpo(chosen, rejected, beta=0.5), logistic)
    turned = [math.log(1 + math.exp(0.5 * margin)) for margin in (1, -4)]
    smooth = [0.9 * one + 0.1 * other for one, other in zip(logistic, turned, strict=True)]
    near(preference.dpo(chosen, rejected, beta=0.5, smoothing=0.1), smooth)
    near(preference.ipo(chosen, rejected, beta=0.25), [(1 - 2) ** 2, (-4 - 2) ** 2])
    near(preference.simpo(chosen, rejected, beta=2, margin=1), [math.log(1 + math.exp(-(2 * m - 1))) for m in (1, -4)])


def test_conservative_dpo_stops_pulling_at_the_margin_that_its_doubt_allows():
    margin = torch.tensor(math.log(0.9 / 0.1) / 0.5, requires_grad=True)
    preference.dpo(margin, torch.zeros(()), beta=0.5, smoothing=0.1).backward()
    near(margin.grad, 0.0)


def test_bradley_terry_of_responses_and_of_tokens():
    chosen, rejected = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    expected = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(2))]
    near(bradley_terry.of_responses(chosen, rejected), expected)
    wide = bradley_terry.of_responses(chosen, rejected, margin=torch.tensor([1.0, 0.0]), centre=0.1)
    near(wide, [math.log(2) + 0.1, expected[1] + 0.4])
    tokens, mask = torch.tensor([[3.0, -1, 100], [0, 0, 0]]), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    others = torch.tensor([[0.0, 100], [1, 3]]), torch.tensor([[1, 0], [1, 1]]).bool()
    near(bradley_terry.of_tokens(tokens, mask, *others), expected)


def plain_gae(rewards, values, discount, decay):
    """Advantages of one response from their definition: sums of discounted one-step differences."""
    padded = [*values, 0.0]
    deltas = [r + discount * padded[t + 1] - padded[t] for t, r in enumerate(rewards)]
    return [sum((discount * decay) ** (k - t) * deltas[k] for k in range(t, len(deltas))) for t in range(len(deltas))]


@pytest.mark.parametrize(("discount", "decay"), [(1.0, 0.95), (0.9, 0.5), (0.97, 0.0), (1.0, 1.0)])
def test_generalised_advantages_are_their_definition(discount, decay):
    torch.manual_seed(0)
    lengths, rewards, values = [4, 1, 6], torch.randn(3, 6), torch.randn(3, 6)
    found, returns = advantages.generalised(rewards, values, sequences.valid(lengths), discount=discount, decay=decay)
    for row, length in enumerate(lengths):
        expected = plain_gae(rewards[row, :length].tolist(), values[row, :length].tolist(), discount, decay)
        near(found[row, :length], expected, 1e-5)
        near(returns[row, :length], [a + v for a, v in zip(expected, values[row].tolist(), strict=False)], 1e-5)
        assert not found[row, length:].any() and not returns[row, length:].any()


def test_advantages_of_groups():
    rewards = torch.tensor(
        [1.0, 2, 3, 6, 0.1, 0.1, 0.1, 0.1, math.nan, 1, math.nan, 3, math.nan, math.nan, 5, math.nan]
    )
    plain = advantages.of_groups(rewards, 4, scaled=False)
    near(plain, [-2, -1, 0, 3, *[0] * 4, 0, -1, 0, 1, *[0] * 4])
    near(advantages.of_groups(rewards, 4).view(-1, 4).sum(1), [0.0] * 4)
    near(advantages.of_groups(rewards, 4)[:4], torch.tensor([-2.0, -1, 0, 3]) / (math.sqrt(14 / 3) + 1e-4))


def test_the_best_of_groups():
    rewards = torch.tensor([1.0, 5, 5, math.nan, math.nan, math.nan, math.inf, 0, 2])
    assert advantages.best_of_groups(rewards, 3).tolist() == [1, 6]
    assert advantages.best_of_groups(rewards, 3, keep=2).tolist() == [1, 2, 6, 8]
    assert advantages.best_of_groups(rewards, 3, keep=2, above=2).tolist() == [1, 2, 6]


def plain_ppo(log_probs, old, advantage, low, high):
    ratio = math.exp(log_probs - old)
    return -min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


def test_the_clipped_objective_is_its_definition():
    torch.manual_seed(1)
    log_probs, old, found = torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5)
    losses = clipped.policy(log_probs, old, found, low=0.2, high=0.3)
    rows = zip(log_probs.flatten().tolist(), old.flatten().tolist(), found.flatten().tolist(), strict=True)
    near(losses.flatten(), [plain_ppo(*row, 0.2, 0.3) for row in rows], 1e-5)
    near(clipped.policy(log_probs, old, found[:, 0]), clipped.policy(log_probs, old, found[:, :1].expand(-1, 5)))


def test_a_clipped_ratio_gives_no_gradient():
    log_probs = torch.tensor([[0.5, -0.5, 0.5, -0.5]], requires_grad=True)
    signs = torch.tensor([[1.0, 1, -1, -1]])
    everywhere = torch.ones(1, 4, dtype=torch.bool)
    clipped.policy(log_probs, torch.zeros(1, 4), signs).sum().backward()
    assert (log_probs.grad != 0).tolist() == [[False, True, True, False]]
    near(clipped.clipped_share(log_probs.detach(), torch.zeros(1, 4), signs, everywhere), 0.5)


def test_values_are_clipped_around_what_they_were():
    values, old, returns = torch.tensor([1.0, 1, 1]), torch.tensor([0.0, 0.9, 0]), torch.tensor([2.0, 2, -1])
    near(clipped.value(values, old, returns), [0.5 * 1.8**2, 0.5, 0.5 * max(4, 1.2**2)])
    near(clipped.value(values, old, returns, clip=None), [0.5, 0.5, 2])


def test_averages_of_tokens_and_responses():
    losses, mask = torch.tensor([[1.0, 9, 9], [2, 2, 2]]), torch.tensor([[1, 0, 0], [1, 1, 1]]).bool()
    near(clipped.averaged(losses, mask, "response"), (1 + 2) / 2)
    near(clipped.averaged(losses, mask, "token"), 7 / 4)
    near(clipped.averaged(losses, mask, "constant", longest=10), 7 / 20)
    near(clipped.averaged(losses, mask, "response", rows=4), 3 / 4)
    near(clipped.averaged(losses, torch.zeros_like(mask), "token"), 0.0)


def test_estimators_of_the_divergence_agree_with_it():
    torch.manual_seed(2)
    one, other = torch.randn(6).log_softmax(0), torch.randn(6).log_softmax(0)
    exact = (one.exp() * (one - other)).sum()
    for estimator in ("k1", "k3"):
        near((one.exp() * kl.divergence(one, other, estimator)).sum(), exact)
    assert (kl.divergence(one, other, "k3") >= 0).all()
    near(kl.divergence(one, one * 1.01, "k2").sum(), ((0.01 * one) ** 2 / 2).sum())


def test_the_gradient_of_the_penalty_is_that_of_the_divergence():
    torch.manual_seed(4)
    logits, other = torch.randn(6, requires_grad=True), torch.randn(6).log_softmax(0)
    one = logits.log_softmax(0)
    (expected,) = torch.autograd.grad((one.exp() * (one - other)).sum(), logits)
    one = logits.log_softmax(0)
    sampled = one.detach()
    (found,) = torch.autograd.grad((sampled.exp() * kl.penalty(one, sampled, other)).sum(), logits)
    near(found, expected)


def test_the_adaptive_coefficient_answers_slowly_and_within_bounds():
    found = kl.AdaptiveCoefficient(0.1, target=6.0, horizon=100)
    found.update(60.0, 10)
    assert found.value == pytest.approx(0.1 * (1 + 0.2 * 0.1))
    found.update(0.0, 10)
    assert found.value == pytest.approx(0.1 * 1.02 * 0.98)


def test_blocks_that_bear_no_loss():
    vocabulary = Vocabulary()
    vocabulary.add("text", 3)
    vocabulary.add("semantic", 4)
    vocabulary.add_controls(["end"])
    assert masks.bearing(vocabulary, ["semantic"]).tolist() == [True] * 3 + [False] * 4 + [True]
    assert masks.bearing(vocabulary, []).all()
    with pytest.raises(StentorError, match="no such block"):
        masks.bearing(vocabulary, ["semantics"])
