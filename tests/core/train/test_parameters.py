import math

import pytest
import torch
from torch import nn

from stentor.errors import StentorError
from stentor.train import parameters, randomness
from stentor.train.schedule import scale, spent
from stentor.train.settings import GroupSettings, TrainSettings


@pytest.fixture
def model():
    return nn.ModuleDict(
        {"adapter": nn.Linear(2, 3), "body": nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.LayerNorm(3))}
    )


def test_groups(model):
    groups = [GroupSettings("adapter.*", lr=2.0), GroupSettings("*.weight", weight_decay=0.5)]
    made = parameters.optimiser(model, TrainSettings(lr=0.1, weight_decay=0.01, groups=groups))
    of = {id(p): group for group in made.param_groups for p in group["params"]}
    chosen = {name: (of[id(p)]["scale"], of[id(p)]["weight_decay"]) for name, p in model.named_parameters()}
    assert chosen == {
        "adapter.weight": (2.0, 0.01), "adapter.bias": (2.0, 0.0), "body.0.weight": (1.0, 0.5),
        "body.0.bias": (1.0, 0.0), "body.2.weight": (1.0, 0.5), "body.2.bias": (1.0, 0.0),
    }  # fmt: skip


def test_frozen_are_left_out_and_quiet(model):
    parameters.freeze(model, ["body.*"])
    model.train()
    parameters.quiet_frozen(model)
    assert not model["body"].training and model["adapter"].training
    made = parameters.optimiser(model, TrainSettings())
    assert sum(len(group["params"]) for group in made.param_groups) == 2


@pytest.mark.parametrize(
    "settings", [TrainSettings(freeze=["adaptor.*"]), TrainSettings(groups=[GroupSettings("adaptor.*")])]
)
def test_a_pattern_that_matches_nothing(model, settings):
    with pytest.raises(StentorError, match="matches no parameter") as caught:
        parameters.freeze(model, settings.freeze)
        parameters.optimiser(model, settings)
    assert caught.value.suggestion == "adapter.*" or "adapter" in str(caught.value)


def test_all_frozen(model):
    with pytest.raises(StentorError, match="nothing to train"):
        parameters.freeze(model, ["*"])


def test_cosine_schedule():
    settings = TrainSettings(warmup=0.1)
    assert scale(settings, 0.05) == pytest.approx(0.5)
    assert scale(settings, 0.1) == pytest.approx(1.0)
    assert scale(settings, 0.55) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert scale(settings, 1.0) == scale(settings, 1.7) == pytest.approx(0.01)
    shares = [scale(settings, share / 1000) for share in range(1001)]
    assert max(shares) <= 1 and min(shares) >= 0.01


def test_constant_schedule_and_no_warmup():
    assert scale(TrainSettings(schedule="constant", warmup=0.5), 0.75) == 1.0
    assert scale(TrainSettings(schedule="constant", warmup=0.0), 0.0) == 1.0
    assert scale(TrainSettings(warmup=1.0), 1.0) == 1.0


def test_budget_is_whichever_is_spent_first():
    both = TrainSettings(steps=100, minutes=2)
    assert spent(both, 50, 30) == 0.5
    assert spent(both, 10, 90) == 0.75
    assert spent(TrainSettings(steps=0, minutes=1), 10**6, 30) == 0.5


def test_random_states_come_back():
    import random

    import numpy as np

    randomness.seed_all(3)
    state = randomness.save()

    def draws():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1).item()

    first = draws()
    with randomness.untouched():
        draws()
    second = draws()
    randomness.restore(state)
    assert (draws(), draws()) == (first, second)
