"""Codes of several codebooks as one sequence of ids: exact both ways, and what a grammar admits is what unpacks."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor.interfaces.tokenizer import Codebook
from stentor.sequence.codes import Delayed, Grouped, add_blocks, ranges_of
from stentor.sequence.vocabulary import Vocabulary

DUAL = CodecSpec(16000, (Codebook("linguistic", 1024, 50 / 3), Codebook("semantic", 4096, 25.0)), (2, 3), 1920)
counts = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def ranges(sizes, start=7):
    """Ranges with a gap before each."""
    edges = itertools.accumulate(sizes, lambda at, size: at + size + 2, initial=start)
    return [range(first, first + size) for first, size in zip(edges, sizes, strict=False)]


@st.composite
def grouped(draw):
    """An arrangement in groups, whole groups of codes, and how many codes of each book are over."""
    pattern = draw(counts)
    sizes = draw(st.lists(st.integers(1, 9), min_size=len(pattern), max_size=len(pattern)))
    groups = draw(st.integers(0, 5))
    books = [draw(st.lists(st.integers(0, size - 1), min_size=groups * count, max_size=groups * count))
             for size, count in zip(sizes, pattern, strict=True)]  # fmt: skip
    return Grouped(ranges(sizes), pattern), tuple(torch.tensor(book, dtype=torch.int64) for book in books)


def alike(left, right):
    return len(left) == len(right) and all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def test_dual_codes_stand_two_and_three():
    arrangement = Grouped(ranges_of(DUAL, 100), DUAL.pattern)
    ids = arrangement.pack((torch.tensor([1, 2, 3, 4]), torch.tensor([0, 10, 20, 30, 40, 50])))
    assert ids.tolist() == [101, 102, 1124, 1134, 1144, 103, 104, 1154, 1164, 1174]
    assert arrangement.books(torch.tensor([99, 100, 1123, 1124, 5219, 5220])).tolist() == [-1, 0, 0, 1, 1, -1]


@given(grouped())
def test_groups_come_back_as_they_were(example):
    arrangement, codes = example
    ids = arrangement.pack(codes)
    assert alike(arrangement.unpack(ids), codes)
    due = [place for place, count in enumerate(arrangement.pattern) for _ in range(count)]
    assert arrangement.books(ids).tolist() == due * (len(ids) // len(due))


@given(grouped(), st.integers(0, 30))
def test_an_incomplete_group_is_left_out(example, cut):
    arrangement, codes = example
    ids = arrangement.pack(codes)[:cut]
    groups = len(ids) // arrangement.group
    kept = tuple(book[: groups * count] for book, count in zip(codes, arrangement.pattern, strict=True))
    assert alike(arrangement.unpack(ids), kept)
    if len(codes[0]):
        short = (codes[0][:-1], *codes[1:])
        assert len(arrangement.pack(short)) == len(arrangement.pack(codes)) - arrangement.group


@given(st.floats(0.0, 60.0))
def test_dual_codes_come_at_the_declared_rate(seconds):
    groups = int(seconds * DUAL.sample_rate) // DUAL.group_samples
    codes = tuple(torch.zeros(groups * count, dtype=torch.int64) for count in DUAL.pattern)
    ids = Grouped(ranges_of(DUAL, 0), DUAL.pattern).pack(codes)
    assert DUAL.rate == pytest.approx(41.67, abs=0.01)
    assert abs(len(ids) - DUAL.rate * seconds) <= DUAL.group


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.integers(0, 70000))
def test_ranges_are_disjoint_and_without_gaps(sizes, start):
    spec = CodecSpec(1, tuple(Codebook(str(n), size) for n, size in enumerate(sizes)), (1,) * len(sizes), 1)
    found = ranges_of(spec, start)
    assert [len(book) for book in found] == sizes
    assert [index for book in found for index in book] == list(range(start, start + sum(sizes)))


def test_codebooks_become_blocks_of_a_vocabulary():
    vocabulary = Vocabulary()
    vocabulary.add("text", 50)
    assert add_blocks(vocabulary, DUAL) == (range(50, 1074), range(1074, 5170))
    assert vocabulary.block("codes.semantic").size == 4096


@given(st.integers(1, 4), st.integers(0, 6), st.data())
def test_delayed_codes_come_back_as_they_were(count, length, data):
    books = ranges([5] * count)
    arrangement = Delayed(books, pad=0)
    rows = st.lists(st.integers(0, 4), min_size=length, max_size=length)
    codes = tuple(torch.tensor(data.draw(rows), dtype=torch.int64) for _ in books)
    ids = arrangement.pack(codes)
    assert len(ids) == (length + count - 1) * count * (length > 0)
    assert alike(arrangement.unpack(ids), codes)
    steps = max(0, len(ids) // count - 1)
    assert alike(arrangement.unpack(ids[: steps * count + count // 2]), [row[: max(0, length - 1)] for row in codes])


def test_a_delayed_codebook_is_as_many_steps_late_as_there_are_before_it():
    ids = Delayed(ranges([10, 10, 10], 1), pad=0).pack(tuple(torch.tensor([1, 2]) for _ in range(3)))
    first, second, third = 1, 13, 25
    assert ids.tolist() == [
        first + 1, 0, 0,
        first + 2, second + 1, 0,
        0, second + 2, third + 1,
        0, 0, third + 2,
    ]  # fmt: skip


def walked(grammar, ids):
    """The state after `ids`, all of which have to be allowed."""
    state = grammar.start()
    for token in ids:
        assert grammar.allowed(state)[token], f"{token} at {state}"
        state = grammar.advance(state, token)
    return state


@given(st.integers(1, 4), st.integers(1, 5), st.data())
def test_a_grammar_admits_what_is_packed_and_only_what_unpacks(count, length, data):
    books, end = ranges([3] * count, 1), 40
    pattern = data.draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    for arrangement, lengths in ((Grouped(books, pattern), [length * n for n in pattern]),
                                 (Delayed(books, pad=0), [length] * count)):  # fmt: skip
        grammar = arrangement.grammar(41, end)
        packed = arrangement.pack(tuple(torch.zeros(n, dtype=torch.int64) for n in lengths))
        state = walked(grammar, [*packed.tolist(), end])
        assert not grammar.allowed(state).any()
        state, ids = grammar.start(), []
        while len(ids) < 60 and grammar.allowed(state).any() and end not in ids:
            ids.append(data.draw(st.sampled_from(grammar.allowed(state).nonzero()[:, 0].tolist())))
            state = grammar.advance(state, ids[-1])
        drawn = torch.tensor([token for token in ids if token != end], dtype=torch.int64)
        codes = arrangement.unpack(drawn)
        if end in ids:
            assert torch.equal(arrangement.pack(codes), drawn)


def test_a_group_is_not_left_in_its_middle():
    grammar = Grouped([range(0, 3), range(3, 6)], (2, 3)).grammar(7, 6)
    ends = []
    state = grammar.start()
    for token in [0, 1, 3, 4, 5, 0, 1]:
        ends.append(bool(grammar.allowed(state)[6]))
        state = grammar.advance(state, token)
    assert ends == [True, False, False, False, False, True, False]


def test_what_does_not_fit_is_told():
    arrangement = Grouped([range(0, 3), range(3, 6)], (2, 3))
    with pytest.raises(StentorError, match=r"codes 0\.\.3 do not fit into codebook 1"):
        arrangement.pack((torch.tensor([0, 0]), torch.tensor([0, 1, 3])))
    with pytest.raises(StentorError, match="1 codebooks where 2 are due"):
        arrangement.pack((torch.tensor([0, 0]),))
    with pytest.raises(StentorError, match=r"id 4 stands where codebook 0 has ids 0\.\.2"):
        arrangement.unpack(torch.tensor([0, 4, 3, 3, 3]))
    with pytest.raises(StentorError, match="do not share"):
        Grouped([range(0, 3), range(2, 6)], (1, 1))
    with pytest.raises(StentorError, match="count of at least 1"):
        Grouped([range(0, 3)], (0,))
    with pytest.raises(StentorError, match="padding"):
        Delayed([range(0, 3)], pad=2)
    with pytest.raises(StentorError, match="beyond the 6"):
        Delayed([range(0, 3)], pad=5).grammar(6, 6)
