"""Settings of a recipe that have a type but make no sense are all told at once, each with its place."""

import pytest

from stentor.config.checking import Checker
from stentor.data.settings import DataSettings
from stentor.errors import StentorError
from stentor.registry import Registry
from stentor.train.settings import TrainSettings

WRONG_TRAIN = {
    "lr": -1.0,
    "betas": [1.5],
    "weight_decay": -0.1,
    "warmup": 2.0,
    "clip": -1.0,
    "accumulate": 0,
    "minutes": -1.0,
    "log_every": -1,
    "valid_every": -1,
    "valid_items": -1,
    "checkpoint_every": -1,
    "keep": 0,
    "devices": 0,
    "num_nodes": 0,
    "lora": {"rank": -1, "alpha": 0.0, "dropout": 1.0},
    "groups": [{"match": "a", "lr": -1.0, "weight_decay": -1.0}],
}
WRONG_DATA = {
    "batch_seconds": -1.0,
    "max_items": -1,
    "min_duration": 2.0,
    "max_duration": 1.0,
    "workers": -1,
    "augment": {"speeds": [0.0], "noise": 2.0, "codec": 1.5, "snr": [5.0, 1.0], "codecs": []},
}


def places(value, cls, section):
    checker = Checker(Registry())
    checker.value(value, cls, section)
    return {problem.path for problem in checker.problems}


def test_every_wrong_setting_is_told_with_its_place():
    lora, group = ["train.lora.rank", "train.lora.alpha", "train.lora.dropout"], "train.groups[0]"
    flat = {f"train.{name}" for name in WRONG_TRAIN if name not in ("lora", "groups")}
    assert places(WRONG_TRAIN, TrainSettings, "train") == {*flat, *lora, f"{group}.lr", f"{group}.weight_decay"}
    flat = {f"data.{name}" for name in WRONG_DATA if name not in ("augment", "min_duration")}
    below = {f"data.augment.{name}" for name in WRONG_DATA["augment"]}
    assert places(WRONG_DATA, DataSettings, "data") == flat | below


def test_wrong_types_and_names_do_not_hide_wrong_ranges():
    assert places({"lr": "x", "warmup": 2.0, "stesp": 1}, TrainSettings, "train") == {
        "train.lr",
        "train.warmup",
        "train.stesp",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_learning_rate_is_a_positive_number(value):
    with pytest.raises(StentorError, match="lr: it must be more than 0"):
        TrainSettings(lr=value)


def test_a_budget_is_needed_and_either_will_do():
    with pytest.raises(StentorError, match="budget"):
        TrainSettings(steps=0)
    assert TrainSettings(steps=0, minutes=1.0).minutes == 1.0
    assert places({}, TrainSettings, "train") == places({}, DataSettings, "data") == set()
