"""Work of many requests, gathered and handed to one thread in batches; those who wait take turns."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from stentor.errors import StentorError

_ALIKE = 2.0
"""Pieces whose sizes differ by more than this factor are not padded to one another."""


class Abandoned(Exception):
    """The client has gone; nobody waits for the rest of its pieces."""


@dataclass(eq=False)
class _Piece:
    item: Any
    size: float
    asked: Any
    result: Future[Any] = field(default_factory=Future)


class Batcher:
    """One thread that works on pieces from many owners, several at a time.

    Owners (requests) take turns: the one that has waited longest gives its first piece, and the batch is filled with
    pieces of about its size, longest first, of which no owner has more than its share while others wait. So a long
    request has no more of the thread than a short one, and every owner is served within one turn of all.

    Args:
        work: results of a batch, one each; called with the items, sorted by size, and what they all ask.
        size: of an item; what padding costs grows with it.
        most: items in a batch.
        volume: size of the largest item times the number of items in a batch, unless it has one item alone: how long
            those who come later wait for it.
        gather: how long to wait for more when there was nothing to do (s).
    """

    def __init__(self, work: Callable[[list[Any], Any], Sequence[Any]], size: Callable[[Any], float], most: int,
                 volume: float = math.inf, gather: float = 0.005) -> None:  # fmt: skip
        self._work, self._size, self._most, self._volume, self._gather = work, size, most, volume, gather
        self._waiting: OrderedDict[Hashable, deque[_Piece]] = OrderedDict()
        self._changed, self._closed = threading.Condition(), False
        self.batches, self.items = 0, 0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, owner: Hashable, items: Sequence[Any], asked: Any) -> list[Future[Any]]:
        """Queue `items` of `owner`; only pieces with equal `asked` meet in a batch.

        Raises:
            StentorError: when it is closed.
        """
        pieces = [_Piece(item, self._size(item), asked) for item in items]
        with self._changed:
            if self._closed:
                raise StentorError("the server is stopping.")
            if pieces:
                self._waiting.setdefault(owner, deque()).extend(pieces)
            self._changed.notify()
        return [piece.result for piece in pieces]

    def forget(self, owner: Hashable) -> None:
        """Drop what `owner` still waits for: nobody is there to hear it."""
        with self._changed:
            for piece in self._waiting.pop(owner, ()):
                piece.result.cancel()

    @property
    def waiting(self) -> int:
        """How many pieces wait."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait_for(lambda: self._waiting or self._closed)
                    self._settle()
                batch = self._take()
            if batch:
                self._carry_out(batch)
            elif self._closed:
                return

    def _settle(self) -> None:
        """After idling: give others who call at the same moment the time to arrive."""
        until = time.monotonic() + self._gather
        while not self._closed and sum(map(len, self._waiting.values())) < self._most:
            if not self._changed.wait(max(0.0, until - time.monotonic())):
                return

    def _take(self) -> list[_Piece]:
        """The next batch, out of the queue."""
        if not self._waiting:
            return []
        first = next(iter(self._waiting.values()))[0]
        share = math.ceil(self._most / len(self._waiting))
        offered = [
            (owner, piece)
            for owner, pieces in self._waiting.items()
            for piece in [one for one in pieces if _fits(one, first)][:share]
        ]
        offered.sort(key=lambda pair: (pair[1] is not first, abs(math.log(_ratio(pair[1], first)))))
        taken = offered[: self._room(offered)]
        for owner, piece in taken:
            self._remove(owner, piece)
        for owner in dict.fromkeys(owner for owner, _ in taken):
            if owner in self._waiting:
                self._waiting.move_to_end(owner)
        return sorted((piece for _, piece in taken), key=lambda piece: -piece.size)

    def _room(self, offered: Sequence[tuple[Hashable, _Piece]]) -> int:
        """How many of `offered`, from the first on, make a batch."""
        largest, count = 0.0, 0
        for _, piece in offered[: self._most]:
            largest = max(largest, piece.size)
            if count and largest * (count + 1) > self._volume:
                break
            count += 1
        return count

    def _remove(self, owner: Hashable, piece: _Piece) -> None:
        self._waiting[owner].remove(piece)
        if not self._waiting[owner]:
            del self._waiting[owner]

    def _carry_out(self, batch: list[_Piece]) -> None:
        """Work on a batch; when that fails, on each of its pieces alone: only the culprit's owner hears of it."""
        batch = [piece for piece in batch if piece.result.set_running_or_notify_cancel()]
        if not batch:
            return
        self.batches, self.items = self.batches + 1, self.items + len(batch)
        try:
            results = self._work([piece.item for piece in batch], batch[0].asked)
        except Exception as cause:  # the model's failure is told to whoever waits for it
            for piece in batch:
                self._alone(piece, cause if len(batch) == 1 else None)
            return
        for piece, result in zip(batch, results, strict=True):
            piece.result.set_result(result)

    def _alone(self, piece: _Piece, cause: Exception | None) -> None:
        try:
            if cause is not None:
                raise cause
            (result,) = self._work([piece.item], piece.asked)
        except Exception as failure:  # as above
            piece.result.set_exception(failure)
        else:
            piece.result.set_result(result)


def _ratio(one: _Piece, other: _Piece) -> float:
    return max(one.size, 1e-9) / max(other.size, 1e-9)


def _fits(one: _Piece, first: _Piece) -> bool:
    return one.asked == first.asked and 1 / _ALIKE <= _ratio(one, first) <= _ALIKE
