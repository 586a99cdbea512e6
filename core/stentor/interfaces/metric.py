"""Metrics: agreement between references and outputs over a whole set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from stentor.interfaces.component import Component


class Metric(Component, ABC):
    """A corpus-level ratio: total errors over total units, so that bootstrap intervals resample utterances.

    Attributes:
        lower_is_better: the direction, for tables and tests.
        unit: what the value is in, e.g. ``%``; the value is ``100 * errors / units`` for per cent.
    """

    lower_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "%"

    @abstractmethod
    def counts(self, references: Sequence[str], outputs: Sequence[str]) -> list[tuple[float, float]]:
        """(errors, units) of every utterance, in order."""

    def describe(self) -> str:
        """How inputs are normalised and what is counted: stated in every result."""
        return type(self).__doc__ or ""
