"""Intervals and tests against hand-worked cases and known tables."""

import math

import numpy as np
import pytest

from stentor.evaluate.significance import (
    bootstrap,
    compare,
    compare_seeds,
    hierarchical,
    holm,
    over_seeds,
    ratio,
    t_distribution,
    t_quantile,
)


def simulated(rate, utterances=400, words=10, seed=0):
    random = np.random.default_rng(seed)
    return [(float(errors), float(words)) for errors in random.binomial(words, rate, utterances)]


def test_ratio_is_of_totals_not_a_mean_of_ratios():
    assert ratio([(1, 2), (0, 8)]) == 0.1
    assert math.isnan(ratio([])) and math.isnan(ratio([(1, 0)]))


def test_bootstrap_of_equal_utterances_has_no_width():
    interval = bootstrap([(1, 4)] * 20, resamples=200)
    assert (interval.value, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_bootstrap_agrees_with_the_binomial_error():
    interval = bootstrap(simulated(0.1), resamples=4000)
    half = 1.96 * math.sqrt(interval.value * (1 - interval.value) / 4000)
    assert interval.value - interval.low == pytest.approx(half, rel=0.15)
    assert interval.high - interval.value == pytest.approx(half, rel=0.15)


def test_bootstrap_covers_the_truth_about_as_often_as_it_claims():
    hits = 0
    for seed in range(100):
        interval = bootstrap(simulated(0.2, utterances=60, seed=seed), resamples=400, confidence=0.9, seed=seed)
        hits += interval.low <= 0.2 <= interval.high
    assert 80 <= hits <= 98


def test_bootstrap_is_seeded():
    counts = simulated(0.1)
    assert bootstrap(counts, seed=1) == bootstrap(counts, seed=1) != bootstrap(counts, seed=2)


def test_exact_p_value_of_three_swappable_utterances():
    # all eight swaps of differences (1, 1, 1): |sum| is 3 in two of them, so p tends to 2/8
    result = compare([(0, 4)] * 3, [(1, 4)] * 3, resamples=20_000)
    assert result.difference == 0.25
    assert result.p == pytest.approx(0.25, abs=0.01)


def test_equal_systems_do_not_differ():
    counts = simulated(0.1)
    result = compare(counts, counts, resamples=200)
    assert (result.difference, result.low, result.high, result.p) == (0, 0, 0, 1)


def test_a_clear_difference_is_found_and_pairing_helps():
    worse = simulated(0.12)
    better = [(max(0.0, errors - (index % 5 == 0)), units) for index, (errors, units) in enumerate(worse)]
    result = compare(worse, better, resamples=999)
    assert result.high < 0 and result.p == pytest.approx(1 / 1000)


def test_p_is_uniform_enough_when_nothing_differs():
    p = [compare(simulated(0.1, 80, seed=s), simulated(0.1, 80, seed=s + 500), resamples=200).p for s in range(60)]
    assert 0.3 < np.mean(p) < 0.7


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="same utterances"):
        compare([(0, 1)], [(0, 1), (1, 1)])


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 4, 2.776), (0.95, 7, 1.895), (0.995, 30, 2.750), (0.975, 9, 2.262)],
)
def test_t_quantiles_of_the_printed_table(probability, freedom, quantile):
    assert t_quantile(probability, freedom) == pytest.approx(quantile, abs=5e-4)
    assert t_distribution(-quantile, freedom) == pytest.approx(1 - probability, abs=5e-4)


def test_mean_over_seeds():
    interval = over_seeds([1.0, 2.0, 3.0])
    assert interval.value == 2 and interval.high == pytest.approx(2 + 4.3027 / math.sqrt(3), abs=1e-3)
    assert math.isnan(over_seeds([1.0]).low)


def test_one_run_leaves_the_bootstrap_over_its_items_and_twins_add_nothing():
    """Twins say the same of every item: as many as they are, the items stay as few."""
    values = np.random.default_rng(3).normal(size=80)
    alone, twins, plain = hierarchical([values]), hierarchical([values] * 5), bootstrap([(v, 1.0) for v in values])
    assert alone.value == pytest.approx(plain.value) == pytest.approx(twins.value)
    for found in (alone, twins):
        assert found.high - found.low == pytest.approx(plain.high - plain.low, rel=0.08)


def test_runs_that_differ_widen_the_interval_whatever_their_items_say():
    found = hierarchical([[0.0] * 50, [1.0] * 50, [5.0] * 50])
    assert (found.value, found.low, found.high) == (2, 0, 5)  # each bound is a draw of one run alone, 1 in 27


def test_the_interval_over_runs_and_items_covers_where_that_over_items_alone_does_not():
    hits = [0, 0]
    for seed in range(60):
        random = np.random.default_rng(seed)
        table = random.normal(size=(8, 1)) + random.normal(size=(1, 40)) + random.normal(size=(8, 40))
        options = {"resamples": 400, "confidence": 0.9, "seed": seed}
        both, items = hierarchical(table, **options), bootstrap([(v, 1.0) for v in table.mean(0)], **options)
        hits = [count + (one.low <= 0 <= one.high) for count, one in zip(hits, (both, items), strict=True)]
    assert 48 <= hits[0] <= 60 and hits[1] < 40


def test_what_a_run_has_no_value_of_is_no_item_of_that_run():
    nan = math.nan
    assert hierarchical([[1.0, nan, 3.0], [nan, nan, 5.0], [nan] * 3]).value == (2 + 5) / 2
    assert hierarchical([[1.0, nan], [nan, 1.0]]) == hierarchical([[1.0, 1.0], [1.0, 1.0]])
    assert math.isnan(hierarchical([]).value) and math.isnan(hierarchical([[nan], [nan]]).low)
    with pytest.raises(ValueError, match="same items"):
        hierarchical([[1.0], [1.0, 2.0]])


def test_paired_t_over_seeds():
    # differences 1, 2, 3: t = 2 / (1 / sqrt 3) = 3.464 with two degrees of freedom, p = 0.0742
    result = compare_seeds([1, 1, 1], [2, 3, 4])
    assert result.difference == 2 and result.p == pytest.approx(0.0742, abs=1e-4)
    assert compare_seeds([1, 2], [1, 2]).p == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, math.nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(holm([0.01, math.nan])[1])
