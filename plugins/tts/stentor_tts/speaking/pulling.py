"""From a function that gives chunks away to an iterator that one takes them from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Full, Queue

from stentor.data.resample import Samples

Put = Callable[[Samples], bool]
"""Takes a chunk; False when nobody waits for more."""
_AHEAD = 64
"""Chunks that may wait to be taken."""
_PATIENCE = 0.1


def pulled(push: Callable[[Put], None]) -> Iterator[Samples]:
    """What `push` gives to the function that it is called with, in a thread of its own; that function says False when
    the iterator has been left."""
    queue: Queue[Samples | BaseException | None] = Queue(_AHEAD)
    gone = threading.Event()

    def put(item: Samples | BaseException | None) -> bool:
        while not gone.is_set():
            try:
                queue.put(item, timeout=_PATIENCE)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            push(put)
            put(None)
        except BaseException as cause:  # raised where the chunks are taken
            put(cause)

    thread = threading.Thread(target=work, name="speaking", daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        gone.set()
        thread.join()
