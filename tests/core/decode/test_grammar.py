"""Grammars as automata: what they allow is what they promise, for any walk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.sequence.grammar import free, interleave, only


def walk(grammar, draw, steps):
    state, tokens = grammar.start(), []
    for _ in range(steps):
        choices = grammar.allowed(state).nonzero().flatten().tolist()
        if not choices:
            break
        tokens.append(draw(st.sampled_from(choices)))
        state = grammar.advance(state, tokens[-1])
    return tokens


@st.composite
def interleaves(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    counts = [draw(st.integers(1, 10)) for _ in sizes]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    ranges = [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    end = sum(sizes)
    pad = draw(st.sampled_from([None, end + 1]))
    grammar = interleave(end + 2, list(zip(ranges, counts, strict=True)), end=end, pad=pad)
    return ranges, counts, end, pad, walk(grammar, draw, 60)


@settings(max_examples=60, deadline=None)
@given(interleaves())
def test_interleaved_chunks_have_their_shape(case):
    ranges, counts, end, pad, tokens = case
    slots = [part for part, count in enumerate(counts) for _ in range(count)]
    ended = tokens[-1:] == [end]
    body = tokens[:-1] if ended else tokens
    assert end not in body
    assert not ended or len(body) % len(slots) == 0
    over = set()
    for place, token in enumerate(body):
        part = slots[place % len(slots)]
        assert token == pad or (token in ranges[part] and part not in over)
        over |= {part} if token == pad else set()
        if place % len(slots) == len(slots) - 1 and len(over) == len(counts):
            assert tokens[place + 1 : place + 2] in ([end], [])


def test_ten_six_nine():
    grammar = interleave(40, [(range(10), 10), (range(10, 20), 6), (range(20, 38), 9)], end=38, pad=39)
    state = grammar.start()
    for token in [0] * 10 + [10] * 6 + [20] * 9:
        assert grammar.allowed(state)[token]
        state = grammar.advance(state, token)
    assert state == grammar.start()
    assert not grammar.allowed(grammar.advance(state, 38)).any()


def test_free_and_only():
    assert free(5).allowed(None).all()
    assert only(5, [1, 3]).allowed(None).tolist() == [False, True, False, True, False]


def test_mistakes_are_refused():
    with pytest.raises(StentorError, match="share ids"):
        interleave(10, [(range(5), 1), (range(4, 8), 1)], end=9)
    with pytest.raises(StentorError, match="share ids"):
        interleave(10, [(range(5), 1)], end=4)
    with pytest.raises(StentorError, match="slot"):
        interleave(10, [(range(5), 0)], end=9)
    with pytest.raises(StentorError, match="vocabulary has 10"):
        only(10, [10])
