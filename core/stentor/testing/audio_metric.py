"""The contract of metrics that measure audio."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.metric import Recording, Spoken
from stentor.testing.contract import ComponentContract
from stentor.testing.signals import SENTENCES, voiced

_RATE = 16_000


class AudioMetricContract(ComponentContract):
    """Checks for metrics of audio; those that measure are skipped where what they need is not installed.

    Attributes:
        custom: further fields of the rows, one mapping each; give those that the metric reads.
        exact: whether an output that is its reference scores the best possible value, 0 errors where lower is better.
    """

    kind = "metric"
    custom: ClassVar[Sequence[Mapping[str, Any]]] = ({}, {}, {})
    exact: ClassVar[bool] = True
    _loaded: ClassVar[Any]

    @property
    def metric(self) -> Any:
        """One instance, with what it judges with, for all checks."""
        if "_loaded" not in vars(type(self)):
            built = self.build()
            try:
                built.load_pretrained()
            except StentorError as error:
                if "not installed" not in str(error):
                    raise
                self.skip(str(error))
            type(self)._loaded = built
        return type(self)._loaded

    def rows(self, folder: Path) -> list[Spoken]:
        """Three rows: the second one's output is its reference, the others' differ from it."""
        waves = [voiced(int((0.8 + 0.1 * row) * _RATE), _RATE, 110.0 + 40 * row) for row in range(3)]
        noise = torch.rand(len(waves[0]), generator=torch.Generator().manual_seed(1)) * 0.2 - 0.1
        outputs = [waves[0] * 0.3 + noise, waves[1], waves[0]]
        places = [
            (_write(folder / f"out{row}.wav", output), _write(folder / f"ref{row}.wav", wave))
            for row, (output, wave) in enumerate(zip(outputs, waves, strict=True))
        ]
        return [
            Spoken(f"row{row}", SENTENCES[row], "tone", len(outputs[row]) / _RATE, *pair, places[1][1], custom)
            for row, (pair, custom) in enumerate(zip(places, self.custom, strict=True))
        ]

    def test_counts(self) -> None:
        """One pair of finite numbers for every row, none for none; the same again, with or without its notes."""
        metric = self.metric
        with tempfile.TemporaryDirectory() as folder:
            rows = self.rows(Path(folder))
            counts = metric.measure(rows)
            self.demand(len(counts) == len(rows), f"{len(rows)} rows give {len(counts)} pairs.")
            bad = [pair for pair in counts if len(pair) != 2 or not all(map(math.isfinite, pair)) or pair[1] < 0]
            self.demand(not bad, f"it counts {bad[:1]}.")
            self.demand(metric.measure([]) == [], "no rows give something.")
            noted = metric.measure(rows)
            fresh = metric.measure([replace(row, notes={}) for row in rows])
            self.demand(counts == noted == fresh, f"it counts {counts}, then {noted}, without notes {fresh}.")
            json.dumps([row.notes for row in rows])

    def test_rows_without_what_it_needs(self) -> None:
        """Rows without reference, prompt, text and further fields are passed over, not refused."""
        metric = self.metric
        with tempfile.TemporaryDirectory() as folder:
            bare = [replace(row, text="", reference=None, prompt=None, custom={}) for row in self.rows(Path(folder))]
            counts = metric.measure(bare)
            self.demand(len(counts) == len(bare) and all(math.isfinite(n) for pair in counts for n in pair),
                        f"bare rows count {counts}.")  # fmt: skip
            if metric.needs:
                self.demand(counts == [(0.0, 0.0)] * len(bare), f"without {set(metric.needs)} rows count {counts}.")

    def test_what_equals_its_reference(self) -> None:
        """An output that is its reference scores better than one that is another utterance, in its direction."""
        if "reference" not in self.component_class.needs:
            self.skip("it does not compare with the reference audio")
        metric = self.metric
        with tempfile.TemporaryDirectory() as folder:
            _, (same, units), (other, others) = metric.measure(self.rows(Path(folder)))
            better = same / units < other / others if metric.lower_is_better else same / units > other / others
            self.demand(better, f"the reference scores {same / units:g}, another utterance {other / others:g}.")
            if metric.lower_is_better and self.exact:
                self.demand(abs(same) < 1e-4, f"the reference itself scores {same:g}, 0 is due.")

    def test_blocks(self) -> None:
        """Blocks hold every row once."""
        with tempfile.TemporaryDirectory() as folder:
            rows = self.rows(Path(folder))
            told = sorted(index for block in self.build().blocks(rows) for index in block)
        self.demand(told == list(range(len(rows))), f"the blocks of {len(rows)} rows hold {told}.")

    def test_unspoken(self) -> None:
        """A row that the model failed on has a pair too."""
        pair = self.build().unspoken(SENTENCES[0])
        self.demand(len(pair) == 2 and all(map(math.isfinite, pair)), f"a row that was not spoken counts {pair}.")

    def test_texts_refused(self) -> None:
        """Scoring texts raises one clear error."""
        try:
            self.build().counts(["a"], ["b"])
        except StentorError:
            return
        self.fail("it counts texts, and declares to measure audio.")

    def test_described(self) -> None:
        """It states what it measures, and its unit."""
        metric = self.build()
        self.demand(bool(metric.describe().strip()), "describe() is empty.")
        self.demand(isinstance(metric.unit, str), f"unit is {metric.unit!r}.")


def _write(path: Path, wave: torch.Tensor) -> Recording:
    audio.write(path, wave.numpy(), _RATE)
    return Recording(str(path))
