"""The interface between a stream and what understands it: one utterance at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from stentor_asr.transcribe.recogniser import Heard


class Hearing(ABC):
    """One utterance that goes on: the state of its recognition, and of nothing else."""

    @abstractmethod
    def feed(self, samples: np.ndarray) -> str:
        """Take the next samples, mono float32 [n]; give what is understood by now.

        What it gives begins with what it gave before, and depends on the samples alone, not on how they are cut.
        """

    @abstractmethod
    def finish(self) -> Heard:
        """The utterance is over: what the recogniser makes of all its samples, offline; times count from its start."""


class Listener(ABC):
    """What understands utterances; it has weights and no state, so that any number of streams can share it.

    Attributes:
        sample_rate: (Hz).
        longest: the longest utterance (s).
    """

    sample_rate: int
    longest: float

    @abstractmethod
    def begin(self) -> Hearing:
        """A new utterance."""
