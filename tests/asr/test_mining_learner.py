"""The multiple-instance learner: blind to order, taught by bags alone, and its attention finds what is bad."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.mining.contract import bags as made_bags
from stentor_asr.mining.contract import labelled as made_labels
from stentor_asr.mining.mil import BagClassifier, Fitting, apart, fit, judge, padded

WIDTH, BAD = 8, 3


def synthetic(count, seed):
    """Bags of noise in which some instances of half the bags are shifted; the truth of each instance is kept aside."""
    random = torch.Generator().manual_seed(seed)
    rows, labels, truth = [], [], []
    for index in range(count):
        size = int(torch.randint(12, 30, (1,), generator=random))
        bag, bad = torch.randn(size, WIDTH, generator=random), torch.zeros(size)
        if index % 2:
            start = int(torch.randint(0, size - BAD, (1,), generator=random))
            bad[start : start + BAD] = 1
            bag[:, 0] += 2.5 * bad
            bag[:, 1] -= 2.5 * bad
        rows.append(bag)
        labels.append(float(index % 2))
        truth.append(bad)
    return rows, torch.tensor(labels), truth


def auc(scores, truth):
    order = scores.argsort()
    ranks = torch.empty(len(scores)).index_put((order,), torch.arange(1.0, len(scores) + 1))
    positive = truth.sum()
    return float((ranks[truth > 0].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


@pytest.mark.parametrize("discriminative", [0.0, 0.5])
def test_attention_finds_the_bad_instances_from_labels_of_bags_alone(discriminative):
    rows, labels, _ = synthetic(120, seed=0)
    model = fit(rows, labels, Fitting(steps=150, lr=1e-2, discriminative=discriminative))
    unseen, wanted, truth = synthetic(80, seed=1)
    chances, weights = judge(model, unseen)
    assert auc(chances, wanted) >= 0.9
    found = [auc(weight, bad) for weight, bad in zip(weights, truth, strict=True) if bad.any()]
    assert sum(found) / len(found) >= 0.8


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_permuting_instances_permutes_attention_and_leaves_the_bag(seed, size):
    torch.manual_seed(seed)
    model, bag, order = BagClassifier(WIDTH).eval(), torch.randn(size, WIDTH), torch.randperm(size)
    with torch.inference_mode():
        logit, pooled, weights = model(bag[None], torch.tensor([size]))
        turned_logit, turned, turned_weights = model(bag[None, order], torch.tensor([size]))
    torch.testing.assert_close(turned_logit, logit)
    torch.testing.assert_close(turned, pooled)
    torch.testing.assert_close(turned_weights, weights[:, order])


def test_padding_and_company_change_nothing():
    torch.manual_seed(0)
    model, rows = BagClassifier(WIDTH).eval(), [torch.randn(n, WIDTH) for n in (3, 9, 1)]
    together, weights = judge(model, rows)
    for row, chance, weight in zip(rows, together, weights, strict=True):
        alone, own = judge(model, [row])
        torch.testing.assert_close(alone[0], chance)
        torch.testing.assert_close(own[0], weight)
    instances, lengths = padded(rows)
    instances[0, 3:] = 1e3
    with torch.inference_mode():
        _, _, masked = model(instances, lengths)
    assert masked[0, 3:].eq(0).all() and masked.sum(1).allclose(torch.ones(3))


def test_discriminative_term_wants_unlike_bags_apart_and_like_bags_together():
    hardness = torch.tensor([0.0, 0.0, 1.0, 0.5])
    sorted_out = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    mixed = torch.ones(4, 2)
    assert apart(sorted_out, hardness) == pytest.approx(0.0, abs=1e-6)
    # all alike: nothing to pull; each unlike pair is 0.5 above the margin, times its difference of hardness
    assert float(apart(mixed, hardness)) == pytest.approx(0.5 * (1 + 0.5) / 2, rel=1e-5)
    assert float(apart(sorted_out, torch.tensor([0.0, 1.0, 0.0, 1.0]))) > float(apart(mixed, hardness))


def test_fitting_is_deterministic_and_leaves_the_random_state_alone():
    rows, labels, _ = synthetic(20, seed=2)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (fit(rows, labels, Fitting(steps=5)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other = fit(rows, labels, Fitting(steps=5, seed=1))
    assert not torch.equal(other.out.weight, first.out.weight)


def test_rankers_differ_and_what_learns_must_be_fitted():
    orders = {}
    for name in registry().names("ranker"):
        ranker = registry().build("ranker", name)
        if ranker.learns:
            with pytest.raises(StentorError, match="has not been fitted"):
                ranker.judge(made_bags())
        ranker.fit(made_labels())
        orders[name] = [verdict.hardness for verdict in ranker.judge(made_bags(6))]
    assert all(orders[name][-1] > orders[name][0] for name in ("confidence", "entropy"))
    assert orders["length"] == [bag.seconds for bag in made_bags(6)]
    assert orders["mil"] != orders["mil-plain"]
    assert orders["random"] != [v.hardness for v in registry().build("ranker", "random", seed=1).judge(made_bags(6))]
