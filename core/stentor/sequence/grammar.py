"""Grammars: which tokens may come next while decoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from stentor.errors import StentorError

State = TypeVar("State")


class Grammar(ABC, Generic[State]):
    """A set of allowed continuations with an explicit, immutable state per row.

    Attributes:
        size: number of ids in the vocabulary.
    """

    size: int

    @abstractmethod
    def start(self) -> State:
        """The state before the first generated token."""

    @abstractmethod
    def allowed(self, state: State) -> Tensor:
        """bool [size]: which tokens may come next; none of them ends the row. The caller must not write to it."""

    @abstractmethod
    def advance(self, state: State, token: int) -> State:
        """The state after `token`, which must have been allowed."""


class Only(Grammar[None]):
    """The same ids at every step."""

    def __init__(self, size: int, ids: Iterable[int]) -> None:
        self.size, self._mask = size, _mask(size, ids)

    def start(self) -> None:
        return None

    def allowed(self, state: None) -> Tensor:
        return self._mask

    def advance(self, state: None, token: int) -> None:
        return None


def only(size: int, ids: Iterable[int]) -> Grammar[None]:
    """Allow `ids` (any number of times, in any order) out of a vocabulary of `size`."""
    return Only(size, ids)


def free(size: int) -> Grammar[None]:
    """Allow everything."""
    return Only(size, range(size))


@dataclass(frozen=True)
class Slot:
    """Where an interleaved row stands.

    Attributes:
        place: slot of the chunk that comes next, 0 at a chunk's start.
        over: bit p is set once part p has been padded: its content has ended.
        ended: whether the end token has been said.
    """

    place: int = 0
    over: int = 0
    ended: bool = False


class Interleave(Grammar[Slot]):
    """Chunks of fixed shape, e.g. 1 text : 4 audio, 10 text : 6 linguistic : 9 semantic, or 2 : 3 dual codebook.

    Every chunk has `count` tokens of each part, in order (Step-Audio, arXiv 2502.11946; Step-Audio-AQAA, 2506.08967).
    A part whose content has ended is padded from then on; the end token stands only where a chunk would start, and
    must stand there once every part is padded.
    """

    def __init__(self, size: int, parts: Sequence[tuple[Iterable[int], int]], *, end: int, pad: int | None) -> None:
        if not parts or any(count < 1 for _, count in parts):
            raise StentorError("an interleave needs at least one part, and at least one slot for each.")
        self.size, self.end, self.pad = size, end, pad
        ids = [sorted(set(part)) for part, _ in parts]
        controls = {end} if pad is None else {end, pad}
        if sum(map(len, ids)) + len(controls) != len(controls.union(*ids)) or end == pad:
            raise StentorError("the parts of an interleave, its padding and its end must not share ids.")
        self._part_of = [part for part, (_, count) in enumerate(parts) for _ in range(count)]
        self._all_over = (1 << len(parts)) - 1
        self._ids, self._padding = ids, [] if pad is None else [pad]
        self._masks: dict[Slot, Tensor] = {}

    def start(self) -> Slot:
        return Slot()

    def allowed(self, state: Slot) -> Tensor:
        if state not in self._masks:
            self._masks[state] = _mask(self.size, self._choices(state))
        return self._masks[state]

    def _choices(self, state: Slot) -> list[int]:
        if state.ended:
            return []
        if state.place == 0 and state.over == self._all_over:
            return [self.end]
        part = self._part_of[state.place]
        content = [] if state.over >> part & 1 else self._ids[part]
        return content + self._padding + [self.end] * (state.place == 0)

    def advance(self, state: Slot, token: int) -> Slot:
        over = state.over | (1 << self._part_of[state.place] if token == self.pad else 0)
        return Slot((state.place + 1) % len(self._part_of), over, token == self.end)


def interleave(
    size: int, parts: Sequence[tuple[Iterable[int], int]], *, end: int, pad: int | None = None
) -> Grammar[Slot]:
    """Chunks of `count` tokens of each part, in turn, until `end`.

    Args:
        size: number of ids in the vocabulary.
        parts: (ids, count) of each part, e.g. ``[(text.range, 1), (audio.range, 4)]``.
        end: the id that ends the row, allowed where a chunk would start.
        pad: the id that fills the slots of a part that is over; None: parts cannot end early.

    Raises:
        StentorError: when ids are shared or a part has no slots.
    """
    return Interleave(size, parts, end=end, pad=pad)


def _mask(size: int, ids: Iterable[int]) -> Tensor:
    chosen = torch.tensor(sorted(set(ids)), dtype=torch.long)
    if len(chosen) and not 0 <= int(chosen[0]) <= int(chosen[-1]) < size:
        raise StentorError(f"a grammar names ids {int(chosen[0])}..{int(chosen[-1])}, the vocabulary has {size}.")
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, chosen, True)
