"""The batcher: results are those of single work, those who wait take turns, a failure has one victim."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stentor.errors import StentorError
from stentor.serve.batching import Batcher


class Work:
    """Doubles its items; can be held back, and remembers its batches."""

    def __init__(self):
        self.free, self.batches = threading.Event(), []
        self.begun = threading.Event()

    def __call__(self, items, asked):
        self.begun.set()
        assert self.free.wait(20)
        self.batches.append((asked, list(items)))
        if -1 in items:
            raise ValueError("one of them is bad")
        return [2 * item for item in items]


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def batcher(work):
    made = Batcher(work, abs, 4, gather=0.0)
    yield made
    work.free.set()
    made.close()


def held(batcher, work):
    """Queue one item and wait until the thread is busy with it: what follows piles up."""
    first = batcher.submit("first", [1], None)
    assert work.begun.wait(10)
    return first


def results(futures):
    return [future.result(20) for future in futures]


def test_every_item_gets_its_own_result(batcher, work):
    work.free.set()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: results(batcher.submit(n, range(n, n + 5), None)), range(1, 40)))
    assert found == [[2 * item for item in range(n, n + 5)] for n in range(1, 40)]
    assert batcher.items == 39 * 5 and batcher.batches < batcher.items and batcher.waiting == 0


def test_what_waits_together_is_worked_on_together_longest_first(batcher, work):
    held(batcher, work)
    futures = [batcher.submit(name, [size], None)[0] for name, size in zip("abcd", (10, 14, 12, 16), strict=True)]
    work.free.set()
    assert results(futures) == [20, 28, 24, 32]
    assert [items for _, items in work.batches] == [[1], [16, 14, 12, 10]]


def test_different_requests_do_not_meet(batcher, work):
    held(batcher, work)
    futures = [batcher.submit(name, [10], asked)[0] for name, asked in zip("abcd", "xyxy", strict=True)]
    work.free.set()
    results(futures)
    assert [(asked, len(items)) for asked, items in work.batches[1:]] == [("x", 2), ("y", 2)]


def test_a_long_request_leaves_room_for_short_ones(batcher, work):
    held(batcher, work)
    long = batcher.submit("long", [100] * 20, None)
    short = [batcher.submit(f"short-{n}", [90 + n], None)[0] for n in range(3)]
    work.free.set()
    results([*long, *short])
    assert sorted(work.batches[1][1]) == [90, 91, 92, 100]


def test_short_requests_of_another_size_wait_one_turn(batcher, work):
    """They would be padded to the long ones, so they have a batch of their own, which is the next."""
    held(batcher, work)
    long = batcher.submit("long", [100] * 20, None)
    short = [batcher.submit(f"short-{n}", [10], None)[0] for n in range(3)]
    work.free.set()
    results([*long, *short])
    sizes = [items for _, items in work.batches[1:]]
    assert len(sizes[0]) == 1 and sizes[1] == [10, 10, 10]
    assert max(len(items) for items in sizes) == 4


def test_a_batch_has_no_more_volume_than_it_may(work):
    batcher = Batcher(work, abs, 4, volume=30, gather=0.0)
    futures = [*held(batcher, work), *batcher.submit("a", [15, 15, 12, 40, 9], None)]
    work.free.set()
    assert results(futures) == [2, 30, 30, 24, 80, 18]
    assert [items for _, items in work.batches[1:]] == [[15, 15], [12, 9], [40]]
    batcher.close()


def test_a_bad_item_fails_alone(batcher, work):
    held(batcher, work)
    futures = [batcher.submit(name, [item], None)[0] for name, item in zip("abc", (1, -1, 2), strict=True)]
    work.free.set()
    assert (futures[0].result(20), futures[2].result(20)) == (2, 4)
    with pytest.raises(ValueError, match="one of them is bad"):
        futures[1].result(20)


def test_who_leaves_is_not_worked_for(batcher, work):
    held(batcher, work)
    gone, stays = batcher.submit("gone", [5, 6], None), batcher.submit("stays", [7], None)
    batcher.forget("gone")
    work.free.set()
    assert results(stays) == [14] and all(future.cancelled() for future in gone)
    assert work.batches[1:] == [(None, [7])]


def test_items_need_not_be_comparable():
    """Of several arrays of one owner a later one may be taken before the first."""
    free = threading.Event()
    batcher = Batcher(lambda items, asked: free.wait(20) and [item.sum() for item in items], len, 2, gather=0.0)
    held = batcher.submit("first", [np.ones(1)], None)
    short, mixed = batcher.submit("a", [np.ones(8)], None), batcher.submit("b", [np.ones(100), np.ones(8)], None)
    free.set()
    assert results([*held, *short, *mixed]) == [1, 8, 100, 8]
    batcher.close()


def test_closing_finishes_what_waits_and_takes_no_more(work):
    batcher = Batcher(work, abs, 4, gather=0.0)
    futures = [held(batcher, work)[0], *batcher.submit("b", [2, 3], None)]
    work.free.set()
    batcher.close()
    assert results(futures) == [2, 4, 6]
    with pytest.raises(StentorError, match="stopping"):
        batcher.submit("c", [1], None)


def test_an_idle_batcher_waits_for_company(work):
    work.free.set()
    batcher = Batcher(work, abs, 4, gather=5.0)
    first = batcher.submit("a", [1, 2], None)
    rest = batcher.submit("b", [1, 2], None)
    assert results([*first, *rest]) == [2, 4, 2, 4]
    assert len(work.batches) == 1
    batcher.close()
