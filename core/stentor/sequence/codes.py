"""Codes of several codebooks as one sequence of ids, and back: in groups, or step by step with a delay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.sequence.delay import Delay
from stentor.sequence.grammar import Grammar, interleave
from stentor.sequence.vocabulary import Vocabulary


def ranges_of(spec: CodecSpec, start: int) -> tuple[range, ...]:
    """Ranges of ids, one after another from `start` on: one for each codebook of a codec."""
    edges = list(accumulate((book.size for book in spec.codebooks), initial=start))
    return tuple(range(first, last) for first, last in pairwise(edges))


def add_blocks(vocabulary: Vocabulary, spec: CodecSpec, prefix: str = "codes.") -> tuple[range, ...]:
    """Append a block of ids to `vocabulary` for each codebook of a codec, e.g. ``codes.semantic``; their ranges."""
    return tuple(vocabulary.add(f"{prefix}{book.name}", book.size).range for book in spec.codebooks)


class Arrangement(ABC):
    """One sequence of ids for codes of several codebooks, each of which has a range of ids of its own.

    Args:
        ranges: of the codebooks.

    Raises:
        StentorError: when ranges share ids.
    """

    def __init__(self, ranges: Sequence[range]) -> None:
        self.ranges = tuple(ranges)
        if not ranges or len({index for book in ranges for index in book}) < sum(map(len, ranges)):
            raise StentorError("codebooks need ranges of ids that they do not share.", value=list(map(str, ranges)))

    @abstractmethod
    def pack(self, codes: Codes) -> Tensor:
        """Ids int64 [n] of codes int64 [T_k] of each codebook k.

        Raises:
            StentorError: when the number of codebooks is another, or a code lies outside of its codebook.
        """

    @abstractmethod
    def unpack(self, ids: Tensor) -> Codes:
        """Codes int64 [T_k] of ids int64 [n]; what is incomplete at the end is left out.

        Raises:
            StentorError: when an id does not belong where it stands.
        """

    @abstractmethod
    def grammar(self, size: int, end: int) -> Grammar[Any]:
        """Such sequences in a vocabulary of `size` ids, until the id `end`."""

    def books(self, ids: Tensor) -> Tensor:
        """Which codebook each id [n] belongs to, int64 [n]; -1 for none."""
        found = torch.full_like(ids, -1)
        for place, ours in enumerate(self.ranges):
            found[(ids >= ours.start) & (ids < ours.stop)] = place
        return found

    def moved(self, codes: Codes) -> list[Tensor]:
        """Codes of each codebook as ids."""
        if len(codes) != len(self.ranges):
            raise StentorError(f"there are codes of {len(codes)} codebooks where {len(self.ranges)} are due.")
        for place, (book, ours) in enumerate(zip(codes, self.ranges, strict=True)):
            if len(book) and not 0 <= int(book.min()) <= int(book.max()) < len(ours):
                raise StentorError(f"codes {int(book.min())}..{int(book.max())} do not fit into codebook {place} with "
                                   f"its {len(ours)} codes.")  # fmt: skip
        return [book + ours.start for book, ours in zip(codes, self.ranges, strict=True)]

    def back(self, ids: Tensor, place: int) -> Tensor:
        """Ids [n] of codebook `place` as its codes."""
        ours = self.ranges[place]
        strange = ids[(ids < ours.start) | (ids >= ours.stop)]
        if len(strange):
            raise StentorError(
                f"id {int(strange[0])} stands where codebook {place} has ids {ours.start}..{ours.stop - 1}."
            )
        return ids - ours.start


class Grouped(Arrangement):
    """Groups of a fixed number of codes of each codebook (Step-Audio, arXiv 2502.11946): 2:3 gives ``l l s s s``.

    Args:
        ranges: of the codebooks.
        pattern: codes of each in one group.
    """

    def __init__(self, ranges: Sequence[range], pattern: Sequence[int]) -> None:
        super().__init__(ranges)
        self.pattern, self.group = tuple(pattern), sum(pattern)
        if len(pattern) != len(self.ranges) or min(pattern) < 1:
            raise StentorError(f"{len(self.ranges)} codebooks need a count of at least 1 each.", value=list(pattern))

    def pack(self, codes: Codes) -> Tensor:
        """Ids int64 [groups * group]: as many groups as every codebook fills; what is over is left out."""
        moved = self.moved(codes)
        groups = min(len(book) // count for book, count in zip(moved, self.pattern, strict=True))
        parts = [book[: groups * n].reshape(groups, n) for book, n in zip(moved, self.pattern, strict=True)]
        return torch.cat(parts, 1).flatten()

    def unpack(self, ids: Tensor) -> Codes:
        whole = ids[: len(ids) // self.group * self.group].reshape(-1, self.group)
        parts = torch.split(whole, list(self.pattern), 1)
        return tuple(self.back(part.flatten(), place) for place, part in enumerate(parts))

    def grammar(self, size: int, end: int) -> Grammar[Any]:
        """Whole groups until `end`."""
        return interleave(size, list(zip(self.ranges, self.pattern, strict=True)), end=end)


class Delayed(Arrangement):
    """Steps of one code of each codebook, of which the k-th is k steps late (MusicGen, arXiv 2306.05284).

    So a codebook is chosen knowing what the ones before it hold at the same time. T codes take T + K - 1 steps; where a
    codebook has not begun or is over stands `pad`.

    Args:
        ranges: of K codebooks of one rate.
        pad: an id outside of them.
    """

    def __init__(self, ranges: Sequence[range], pad: int) -> None:
        super().__init__(ranges)
        self.pad = pad
        if any(pad in book for book in ranges):
            raise StentorError("the padding of delayed codebooks must not be one of their ids.", value=pad)

    def pack(self, codes: Codes) -> Tensor:
        """Ids int64 [(T + K - 1) * K], T being the length of the shortest codebook; none for T = 0."""
        moved = self.moved(codes)
        length, late = min(map(len, moved)), len(moved) - 1
        if not length:
            return torch.zeros(0, dtype=torch.int64)
        steps = torch.full((length + late, len(moved)), self.pad, dtype=torch.int64, device=moved[0].device)
        for place, book in enumerate(moved):
            steps[place : place + length, place] = book[:length]
        return steps.flatten()

    def unpack(self, ids: Tensor) -> Codes:
        """Codes of the times that all codebooks have reached."""
        count = len(self.ranges)
        steps = ids[: len(ids) // count * count].reshape(-1, count)
        length = max(0, len(steps) - count + 1)
        return tuple(self.back(steps[place : place + length, place], place) for place in range(count))

    def grammar(self, size: int, end: int) -> Grammar[Any]:
        """Such steps; a pad of the first codebook begins the last steps, after which `end` must follow."""
        return Delay(size, self.ranges, pad=self.pad, end=end)
