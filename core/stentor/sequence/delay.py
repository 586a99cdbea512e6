"""The grammar of delayed codebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.sequence.grammar import Grammar


@dataclass(frozen=True)
class Late:
    """Where a delayed row stands.

    Attributes:
        place: codebook whose turn it is.
        begun: codebooks that have begun, counted up to all of them.
        over: codebooks whose codes have ended.
        ended: whether the end token has been said.
    """

    place: int = 0
    begun: int = 1
    over: int = 0
    ended: bool = False


class Delay(Grammar[Late]):
    """Steps of one id of each codebook in turn, the k-th k steps late, `pad` where it has none (arXiv 2306.05284).

    Args:
        size: number of ids in the vocabulary.
        ranges: of the codebooks.
        pad: stands before the beginning of a codebook and after its end.
        end: ends the row, once all codebooks are over.
    """

    def __init__(self, size: int, ranges: Sequence[range], *, pad: int, end: int) -> None:
        self.size, self.pad, self.end, self.count = size, pad, end, len(ranges)
        if pad == end or any(index in book for index in (pad, end) for book in ranges):
            raise StentorError("delayed codebooks, their padding and their end must not share ids.")
        if max(pad, end, *(book.stop - 1 for book in ranges)) >= size:
            raise StentorError(f"a grammar names ids beyond the {size} of the vocabulary.")
        self._ranges, self._masks = tuple(ranges), dict[tuple[str, int], Tensor]()

    def start(self) -> Late:
        return Late()

    def allowed(self, state: Late) -> Tensor:
        place = state.place
        if state.ended:
            return self._mask("none", 0)
        if state.over >= max(1, self.count - 1) and place == 0:
            return self._mask("end", 0)
        if place == 0 and not state.over:
            return self._mask("beginning" if state.begun == 1 and self.count > 1 else "running", 0)
        return self._mask("code" if state.over <= place < state.begun else "pad", place)

    def advance(self, state: Late, token: int) -> Late:
        if token == self.end:
            return Late(ended=True)
        over = state.over + (state.place == 0 and (token == self.pad or state.over > 0))
        if state.place + 1 < self.count:
            return Late(state.place + 1, state.begun, over)
        return Late(0, min(state.begun + 1, self.count), over)

    def _mask(self, choice: str, place: int) -> Tensor:
        """bool [size]: ``beginning`` a code or the end, ``running`` a code or the pad that ends the codebook."""
        if (choice, place) not in self._masks:
            mask = torch.zeros(self.size, dtype=torch.bool)
            book = self._ranges[place]
            if choice in ("code", "beginning", "running"):
                mask[book.start : book.stop] = True
            mask[self.pad] = choice == "pad" or (choice == "running" and self.count > 1)
            mask[self.end] = choice in ("end", "beginning") or (choice == "running" and self.count == 1)
            self._masks[choice, place] = mask
        return self._masks[choice, place]
