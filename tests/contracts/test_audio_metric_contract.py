"""The contract of metrics of audio: a sound one passes, and it finds what is wrong with others."""

import sys
from types import ModuleType

import numpy as np
import pytest

from stentor.interfaces.metric import AudioMetric
from stentor.plugins import registry
from stentor.testing import AudioMetricContract, MetricContract, check, contract_for


class Gap(AudioMetric):
    """Mean difference of magnitudes to the reference."""

    needs = frozenset({"reference"})

    def measure(self, rows):
        return [self.one(row) if row.reference else (0.0, 0.0) for row in rows]

    def one(self, row):
        both = row.output.read(16000), row.reference.read(16000)
        row.notes["gap"] = True
        size = min(map(len, both))
        return float(np.abs(both[0][:size] - both[1][:size]).sum()), float(size)


class Impatient(Gap):
    """Refuses a row without a reference."""

    def measure(self, rows):
        return [self.one(row) for row in rows]


class Upside(Gap):
    """Has the direction wrong."""

    lower_is_better = False


class Remembering(Gap):
    """Counts other things where it finds its notes."""

    def one(self, row):
        known = "gap" in row.notes
        errors, units = super().one(row)
        return errors + known, units


class Losing(Gap):
    """Blocks that lose a row."""

    def blocks(self, rows):
        return [[index] for index in range(len(rows) - 1)]


LIES = [
    (Impatient, "rows_without_what_it_needs"),
    (Upside, "what_equals_its_reference"),
    (Remembering, "counts"),
    (Losing, "blocks"),
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    module = ModuleType("metric_liars")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    saved = registry().snapshot()
    for one in (Gap, *(lie for lie, _ in LIES)):
        setattr(module, one.__name__, one)
        registry().add("metric", one.__name__, f"metric_liars:{one.__name__}")
    yield
    registry().restore(saved)


def test_a_metric_of_audio_has_another_contract_than_one_of_texts():
    assert contract_for("metric", "Gap") is AudioMetricContract
    assert contract_for("metric", "wer") is MetricContract is contract_for("metric")


def failed(name):
    return {result.check for result in check("metric", name) if result.outcome == "failed"}


def test_a_sound_one_passes():
    assert failed("Gap") == set()


@pytest.mark.parametrize(("lie", "wrong"), LIES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_lie_is_found(lie, wrong):
    assert failed(lie.__name__) == {wrong}
