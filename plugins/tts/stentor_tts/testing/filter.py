"""The contract of filters."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.metric import Recording, Spoken
from stentor.testing import ComponentContract
from stentor.testing.signals import voiced
from stentor_tts.engine.interfaces import Verdict

_RATE, _TAKES = 16000, 3


class FilterContract(ComponentContract):
    """Checks for filters; those that judge are skipped where what a filter judges with is not installed."""

    kind = "filter"
    _first: ClassVar[tuple[list[Verdict], bool]]

    def loaded(self) -> Any:
        """A filter with what it judges with."""
        built = self.build()
        try:
            built.load_pretrained()
        except StentorError as error:
            if "not installed" not in str(error):
                raise
            self.skip(str(error))
        return built

    @property
    def first(self) -> tuple[list[Verdict], bool]:
        """Its verdicts, and whether the audio is afterwards what it was; once for all checks: judging takes seconds."""
        if "_first" not in vars(type(self)):
            judge = self.loaded()
            with takes() as given:
                before = [Path(take.output.path).read_bytes() for take in given]
                found = judge.judge(given)
                after = [Path(take.output.path).read_bytes() for take in given]
            type(self)._first = found, before == after
        return type(self)._first

    def test_verdicts(self) -> None:
        """A verdict for every take: a reason in one line, or none, and numbers."""
        found, _ = self.first
        self.demand(len(found) == _TAKES, f"{_TAKES} takes give {len(found)} verdicts.")
        for verdict in found:
            line = isinstance(verdict.reason, str) and "\n" not in verdict.reason
            self.demand(line, f"a reason is {verdict.reason!r}, not one line.")
            fine = isinstance(verdict.measures, Mapping) and all(map(_plain, verdict.measures.items()))
            self.demand(fine, f"measures are {verdict.measures!r}, not names with finite numbers.")

    def test_nothing_to_judge(self) -> None:
        """No takes, no verdicts."""
        self.demand(self.loaded().judge([]) == [], "no takes give verdicts.")

    def test_deterministic(self) -> None:
        """A new one has the same verdicts on the same takes."""
        judge = self.loaded()
        with takes() as given:
            found = judge.judge(given)
        self.demand(found == self.first[0], "asked again, it gives other verdicts.")

    def test_audio_is_left_alone(self) -> None:
        """The takes are the same files afterwards."""
        self.demand(self.first[1], "it changes the audio that it judges.")


@contextmanager
def takes() -> Iterator[list[Spoken]]:
    """Made takes: one like speech, one very short, one silent."""
    seconds = {"one": 0.8, "short": 0.15}
    waves = {name: voiced(round(length * _RATE), _RATE).numpy() for name, length in seconds.items()}
    waves["silent"] = np.zeros(_RATE, np.float32)
    with tempfile.TemporaryDirectory() as place:
        found = []
        for name, wave in waves.items():
            path = f"{place}/{name}.flac"
            audio.write(path, wave, _RATE)
            recording = Recording(path)
            found.append(Spoken(name, "turn on the lamp", "voice", len(wave) / _RATE, recording, prompt=recording))
        yield found


def _plain(measure: tuple[Any, Any]) -> bool:
    name, value = measure
    return isinstance(name, str) and isinstance(value, float | int) and math.isfinite(value)
