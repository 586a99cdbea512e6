"""One id space: disjoint blocks that never move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.sequence.vocabulary import Vocabulary


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8))
def test_blocks_are_disjoint_and_cover_the_id_space(sizes):
    vocabulary = Vocabulary()
    for i, size in enumerate(sizes):
        before = [block.range for block in vocabulary.blocks()]
        vocabulary.add(f"block{i}", size)
        assert [block.range for block in vocabulary.blocks()][:-1] == before
    assert [i for block in vocabulary.blocks() for i in block.range] == list(range(vocabulary.size))


def test_state_gives_the_same_vocabulary_back():
    vocabulary = Vocabulary()
    vocabulary.add("text", 10)
    vocabulary.add_controls(["listen", "end"])
    vocabulary.add("codes", 1024)
    again = Vocabulary.from_state(vocabulary.state())
    assert again.blocks() == vocabulary.blocks()
    assert again.control("end") == vocabulary.control("end") == 11


def test_mistakes_are_told_with_the_near_match():
    vocabulary = Vocabulary()
    vocabulary.add_controls(["transcribe", "end"])
    with pytest.raises(StentorError, match="'transcribe'"):
        vocabulary.control("transcrib")
    with pytest.raises(StentorError, match="already"):
        vocabulary.add("control", 1)
    with pytest.raises(StentorError, match="twice"):
        vocabulary.add_controls(["end"], "more")
    with pytest.raises(StentorError, match="at least one"):
        vocabulary.add("nothing", 0)
