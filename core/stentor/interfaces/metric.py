"""Metrics: agreement between references and outputs over a whole set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stentor.errors import StentorError
from stentor.interfaces.component import Component

Counts = tuple[float, float]
"""Errors and units of one utterance."""


class Metric(Component, ABC):
    """A corpus-level ratio: total errors over total units, so that bootstrap intervals resample utterances.

    Attributes:
        lower_is_better: the direction, for tables and tests.
        unit: what the value is in, e.g. ``%``; the value is ``100 * errors / units`` for per cent.
    """

    lower_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "%"

    @abstractmethod
    def counts(self, references: Sequence[str], outputs: Sequence[str]) -> list[Counts]:
        """(errors, units) of every utterance, in order."""

    def describe(self) -> str:
        """How inputs are normalised and what is counted: stated in every result."""
        return type(self).__doc__ or ""


@dataclass(frozen=True)
class Recording:
    """A stretch of an audio file.

    Attributes:
        path: of the file.
        start: where the stretch begins (s).
        seconds: how long it is (s); None: up to the end.
        channel: which one; None averages all.
    """

    path: str
    start: float = 0.0
    seconds: float | None = None
    channel: int | None = None

    def read(self, sample_rate: int) -> NDArray[np.float32]:
        """Waveform float32 [N] in [-1, 1] at `sample_rate` (Hz).

        Raises:
            StentorError: when the file is not there, not audio, or too short.
        """
        from stentor.data import audio

        return audio.read(self.path, sample_rate, self.start, self.seconds, self.channel)


@dataclass(frozen=True)
class Spoken:
    """What a task said for one row of a set, and all that is known of what it should have said.

    Attributes:
        id: of the row.
        text: what it should say.
        speaker: whose voice the row has, if known.
        seconds: length of `output` (s).
        output: what was said.
        reference: the row's own audio, where it has some.
        prompt: an example of the voice to speak in, where the row names one (its field ``prompt``).
        custom: the row's further fields.
        notes: what metrics found out, as plain data; it is kept with the row for the report and for the next scoring.
    """

    id: str
    text: str
    speaker: str
    seconds: float
    output: Recording
    reference: Recording | None = None
    prompt: Recording | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class AudioMetric(Metric):
    """A metric of what is spoken. `load_pretrained` reads the weights that it judges with, before anything is spoken.

    What it cannot score (a row without the reference, prompt or field that it needs) has (0, 0), and counts for
    nothing.

    Attributes:
        needs: what it compares the output with beside the text. Metrics that need the ``"reference"`` audio are not
            asked about the reference audio itself.
    """

    contract: ClassVar[str] = "stentor.testing.audio_metric:AudioMetricContract"
    needs: ClassVar[frozenset[Literal["reference", "prompt"]]] = frozenset()

    def counts(self, references: Sequence[str], outputs: Sequence[str]) -> list[Counts]:
        raise StentorError(f"{type(self).__name__} measures audio, not texts.", path="evaluate.metrics")

    def describe(self) -> str:
        """What is measured: the class's docstring up to its arguments, in one line."""
        return " ".join((type(self).__doc__ or "").partition("Args:")[0].split()).removesuffix(".")

    @abstractmethod
    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        """(errors, units) of every row, in order."""

    def unspoken(self, text: str) -> Counts:
        """(errors, units) of a row for which the model raised an error instead of saying `text`."""
        return (0.0, 0.0)

    def blocks(self, rows: Sequence[Spoken]) -> list[list[int]]:
        """Which rows (indices) were measured together, so that bootstrap intervals resample them together; all rows."""
        return [[index] for index in range(len(rows))]
