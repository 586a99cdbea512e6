"""Bucketing: never over budget, everything once an epoch, little waste, the same for the same seed, shared by ranks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data.sampler import BucketingSampler
from stentor.errors import StentorError

lengths = st.lists(st.floats(0.01, 40.0), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    durations=lengths,
    budget=st.floats(1.0, 100.0),
    limit=st.integers(0, 5),
    seed=st.integers(0, 99),
    shuffle=st.booleans(),
)
def test_every_row_once_and_never_over_budget(durations, budget, limit, seed, shuffle):
    lengths = np.array(durations)
    sampler = BucketingSampler(lengths, budget, max_items=limit, seed=seed, shuffle=shuffle)
    plan = sampler.plan(3)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    for batch in plan:
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= budget
        assert not limit or len(batch) <= limit


@settings(max_examples=60, deadline=None)
@given(durations=lengths, world=st.integers(1, 4), epoch=st.integers(0, 5))
def test_ranks_share_an_epoch_evenly(durations, world, epoch):
    plans = [BucketingSampler(np.array(durations), 50.0, rank=rank, world=world).plan(epoch) for rank in range(world)]
    assert len({len(plan) for plan in plans}) == 1
    seen = [tuple(batch.tolist()) for plan in plans for batch in plan]
    whole = {tuple(batch.tolist()) for batch in BucketingSampler(np.array(durations), 50.0).plan(epoch)}
    assert set(seen) == whole and len(seen) - len(whole) < world


@settings(max_examples=60, deadline=None)
@given(durations=lengths, done=st.integers(0, 80))
def test_restored_it_goes_on_where_it_was(durations, done):
    one, other = (BucketingSampler(np.array(durations), 60.0, seed=4) for _ in range(2))
    draws = iter(one)
    for _ in range(done):
        next(draws)
    other.load_state_dict(one.state_dict())
    for expected, found in itertools.islice(zip(draws, other, strict=False), 20):
        assert expected[:2] == found[:2] and expected.rows.tolist() == found.rows.tolist()


def test_waste_is_small_and_epochs_differ():
    lengths = np.clip(np.random.default_rng(0).lognormal(1.8, 0.6, 20_000), 0.5, 30)
    sampler = BucketingSampler(lengths, 200.0)
    first, second = sampler.plan(0), sampler.plan(1)
    padded = sum(len(batch) * lengths[batch].max() for batch in first)
    assert 1 - lengths.sum() / padded <= 0.02
    sets = [{frozenset(batch.tolist()) for batch in plan} for plan in (first, second)]
    assert len(sets[0] & sets[1]) < 0.01 * len(first), "batches are composed anew"
    means = np.array([lengths[batch].mean() for batch in first])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2, "batches of like length do not follow each other"


def test_restoring_does_not_replay(monkeypatch):
    """One plan, whatever the place: restoring far into an epoch makes the same calls as at its beginning."""
    lengths = np.full(5000, 1.0)
    sampler = BucketingSampler(lengths, 1.0)
    plans = []
    monkeypatch.setattr(sampler, "plan", lambda epoch, plan=sampler.plan: plans.append(epoch) or plan(epoch))
    sampler.load_state_dict({"epoch": 900, "position": 4999})
    assert next(iter(sampler)).epoch == 900
    assert plans == [900]


def test_nothing_to_draw():
    with pytest.raises(StentorError, match="no utterance"):
        BucketingSampler(np.zeros(0), 10.0)
