"""Drift: how long and how various responses are, against those of what the policy began as."""

import pytest
import tiny
import torch

from stentor_align import rollout
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks import drift
from stentor_align.tasks.drift import Drift, Manner

BATCH = tiny.batch("abc", "fed")
HOT = SamplingSettings(temperature=2.0)


def made(*tokens, samples=2):
    return Rollout([list(row) for row in tokens], [n // samples for n in range(len(tokens))], [], [])


def test_a_manner_is_the_mean_length_and_the_share_of_different_responses():
    found = drift.manner(made([1], [1], [1, 2, 3], [4]))
    assert found == Manner(1.5, 0.75)
    assert drift.manner(made()) == Manner(0.0, 0.0)


def test_drift_is_a_ratio_of_lengths_and_a_difference_of_shares():
    told = drift.apart(made([1, 2], [1, 2], [3, 3], [3, 3]), Manner(1.0, 0.75))
    assert told.means == {"drift/length": 2.0, "drift/distinct": -0.25}
    assert told.counts == {"drift/length": 4, "drift/distinct": 2}


def test_single_responses_differ_from_none_and_no_length_has_no_ratio():
    assert drift.apart(made([1, 2], [3], samples=1), Manner(1.0, 1.0)).means == {"drift/length": 1.5}
    assert drift.apart(made([1], [2]), Manner(0.0, 0.0)).means == {"drift/distinct": 1.0}


def test_nothing_drifted_where_nothing_changed_and_the_parent_is_asked_once(monkeypatch):
    parent, changed = tiny.policy(), tiny.policy(seed=4)
    found, options = Drift(), {"samples": 3, "seed": 0}
    asked = []
    sample = rollout.sample
    monkeypatch.setattr(rollout, "sample", lambda policy, *a, **o: (asked.append(policy), sample(policy, *a, **o))[1])
    own = sample(parent, parent.ask(BATCH), HOT, **options)
    assert found.figures(parent, BATCH, own, HOT, **options).means == {"drift/length": 1.0, "drift/distinct": 0.0}
    other = sample(changed, changed.ask(BATCH), HOT, **options)
    told = found.figures(parent, BATCH, other, HOT, **options).means
    assert told["drift/length"] == pytest.approx(sum(map(len, other.tokens)) / sum(map(len, own.tokens))) != 1
    assert asked == [parent]
    found.figures(
        parent, tiny.batch("cab"), sample(parent, parent.ask(tiny.batch("cab")), HOT, **options), HOT, **options
    )
    found.figures(parent, BATCH, own, HOT, samples=3, seed=1)
    assert len(asked) == 3 and torch.is_grad_enabled()
