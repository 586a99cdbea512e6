"""Decoders: what the model emits to what the user gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.component import Component
from stentor.interfaces.tokenizer import TextTokenizer

Hotwords = Sequence[Mapping[str, float]]
"""For each row of a batch: phrase -> boost, what is added to the log-probability of a path for every such phrase in it
(natural logarithm)."""


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance.

    Attributes:
        ids: its tokens, in the numbering of the log-probabilities (0 is the blank, and is never among them).
        score: what the decoder ranks by (natural logarithm); higher is better.
        frames: first frame of each token, and the frame behind its last; empty for an utterance that has no path.
        confidence: probability in (0, 1] of each token, over its frames.
    """

    ids: tuple[int, ...]
    score: float
    frames: tuple[tuple[int, int], ...] = ()
    confidence: tuple[float, ...] = ()


class SearchDecoder(Component, ABC):
    """Frame-wise log-probabilities to token ids (CTC and lattice search).

    Capabilities: ``"beam"`` for a search whose width can be chosen and which gives several hypotheses, ``"hotwords"``
    for one that takes phrases to listen for.
    """

    def bind(self, tokenizer: TextTokenizer) -> None:
        """Told by the task what the ids spell: id ``i`` of the log-probabilities is id ``i - 1`` of `tokenizer`.

        A decoder that needs no spellings leaves it out. The tokenizer is trained.

        Raises:
            StentorError: when the decoder cannot work with these pieces.
        """

    @abstractmethod
    def hypotheses(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        *,
        best: int = 1,
        hotwords: Hotwords | None = None,
        beam: int | None = None,
    ) -> list[list[Hypothesis]]:
        """The best readings of each row, best first; no two of a row have the same ids.

        Args:
            log_probs: float [B, T, V]; index 0 is the blank.
            lengths: int64 [B], valid frames.
            best: how many readings at most; at least one is given, for a row without frames the empty one.
            hotwords: what to listen for, one mapping for each row.
            beam: width of the search; None is the decoder's own.

        Raises:
            StentorError: for hotwords or a beam that the decoder cannot honour.
        """

    def search(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        """Ids of the best reading of each row; arguments as in `hypotheses`."""
        return [list(row[0].ids) for row in self.hypotheses(log_probs, lengths)]

    def refuse(self, hotwords: Hotwords | None, beam: int | None) -> None:
        """Raise a `StentorError` when it is asked for what it does not claim among its capabilities."""
        asked = {"hotwords": any(hotwords or ()), "beam": beam is not None}
        for name, wanted in asked.items():
            if wanted and name not in self.capabilities:
                raise StentorError(f"decoder '{type(self).__name__}' takes no {name}.", path=f"decoder.{name}")
        if beam is not None and beam < 1:
            raise StentorError("the beam must be at least 1 wide.", path="decoder.beam", value=beam)


class WaveformDecoder(Component, ABC):
    """Codes to waveform (codec decoder, or flow matching and vocoder)."""

    sample_rate: int

    @abstractmethod
    def synthesise(self, codes: Tensor, lengths: Tensor, **conditions: Any) -> tuple[Tensor, Tensor]:
        """Waveforms float [B, N] in [-1, 1] and sample counts [B] of codes int64 [B, T] or [B, T, codebooks]."""
