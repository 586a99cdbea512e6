"""What a prefix search adds to the posteriors: language models, hotwords."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

State = dict[str, np.ndarray]
"""Arrays over prefixes, all of one shape."""


class Fusion(ABC):
    """Adds a score to every prefix, vectorised over prefixes.

    The score may hold credit in advance (what a phrase or word that was begun will probably give), so that pruning is
    fair; `finished` takes it back, and what remains is a function of the whole sequence alone.
    """

    @abstractmethod
    def begin(self, rows: int) -> State:
        """The state of the empty prefix of each row [rows, 1]."""

    @abstractmethod
    def offers(self, state: State, tokens: np.ndarray) -> np.ndarray:
        """What each prefix [n, k] would gain by each token [n, c] of its row: [n, k, c]."""

    @abstractmethod
    def extended(self, state: State, tokens: np.ndarray) -> tuple[State, np.ndarray]:
        """The states of prefixes [m] after one token each [m], and what that adds beyond the offer [m]."""

    @abstractmethod
    def finished(self, state: State) -> np.ndarray:
        """What the end of the utterance adds to each prefix, in the shape of the state's arrays."""
