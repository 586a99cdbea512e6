"""Drafters: what proposes several tokens at once, for the backbone to verify in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from stentor.interfaces.component import Component
from stentor.sequence.packing import Packed


@dataclass(frozen=True, eq=False)
class Prefilled:
    """What is known when the backbone has read the prompts and the first token of every row has been chosen.

    Attributes:
        inputs: float [B, T, dim], embeddings of the prompts, right-padded.
        lengths: positions of each prompt.
        hidden: float [B, T, dim], the backbone's hidden states there.
        ids: int64 [T_b] per row, the prompts' ids, -1 where a position is continuous or nobody said what it is.
        first: int64 [B], the first token of each row.
        capacity: most positions, prompt and tokens together, that a row will ever hold, drafts included.
        ends: ids that end a row: nothing that follows one in a draft can be of use.
    """

    inputs: Tensor
    lengths: Sequence[int]
    hidden: Tensor
    ids: Sequence[Tensor]
    first: Tensor
    capacity: int
    ends: Collection[int] = ()


class Draft(Protocol):
    """A drafter's memory of the rows of one generation."""

    def propose(self, most: int) -> Tensor:
        """The tokens that it expects next, int64 [B, k] with 0 <= k <= `most`; a row may hold idle guesses."""

    def accept(self, tokens: Tensor, counts: Sequence[int], hidden: Tensor) -> None:
        """Learn what the backbone made of the proposal; the rest of it is forgotten.

        Args:
            tokens: int64 [B, 1 + k], the tokens chosen, of which the first ``counts[b]`` of row b hold.
            counts: 1 to 1 + k per row.
            hidden: float [B, 1 + k, dim], the backbone's hidden states that these tokens were chosen from.
        """

    def select(self, rows: Tensor) -> None:
        """Keep rows `rows` (int64 [B']), in that order."""


@dataclass
class DraftLoss:
    """What training a drafter on a batch gives: the loss to descend, and named parts to log."""

    value: Tensor
    parts: Mapping[str, float] = field(default_factory=dict)


class Drafter(Component, nn.Module):
    """Proposes tokens for a backbone, which accepts the longest prefix that it would have chosen itself.

    What it proposes changes the speed alone, never the result (Leviathan et al. 2023, arXiv 2211.17192; greedy case).
    The constructor is wired with ``(backbone,)``. The backbone is no part of it: it appears neither among its modules
    nor in its state.

    Attributes:
        length: most tokens that it proposes at a time.
    """

    length: int

    @abstractmethod
    def start(self, prefilled: Prefilled) -> Draft:
        """Memory for the rows of a new generation."""

    def training_loss(self, packed: Packed, inputs: Tensor, hidden: Tensor) -> DraftLoss | None:
        """The loss of packed training sequences; None if it has nothing to descend. It may learn by counting here.

        Args:
            packed: N positions with their targets.
            inputs: float [N, dim], the backbone's inputs.
            hidden: float [N, dim], its hidden states.
        """
        return None
