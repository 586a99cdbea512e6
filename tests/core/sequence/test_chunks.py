"""Text and audio in turns: nothing is lost, ratios hold, the grammar allows exactly what is laid out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.sequence.chunks import Chunks
from stentor.sequence.packing import pack

TEXT, LINGUISTIC, SEMANTIC, PAD, END, SIZE = range(50), range(50, 70), range(70, 100), 100, 101, 102


def chunks(text, linguistic, semantic):
    books = (LINGUISTIC, SEMANTIC)
    return Chunks(SIZE, TEXT, books, text=text, codes=(linguistic, semantic), pad=PAD, end=END)


def content(text, groups):
    linguistic = torch.arange(2 * groups) % len(LINGUISTIC) + LINGUISTIC.start
    semantic = torch.arange(3 * groups) % len(SEMANTIC) + SEMANTIC.start
    return [i % len(TEXT) for i in range(text)], (linguistic, semantic)


@given(st.integers(0, 40), st.integers(0, 12), st.sampled_from([(10, 6, 9), (1, 2, 3), (4, 2, 3), (60, 2, 3)]))
def test_what_is_laid_out_can_be_read_again_and_is_legal(text, groups, shape):
    laid = chunks(*shape)
    written, codes = content(text, groups)
    ids = laid.ids(written, codes)
    assert (len(ids) - 1) % sum(shape) == 0 and ids[-1] == END
    found, spoken = laid.read(ids)
    assert found == written and all(torch.equal(*pair) for pair in zip(spoken, codes, strict=True))
    state = laid.grammar.start()
    for token in ids.tolist():
        assert laid.grammar.allowed(state)[token]
        state = laid.grammar.advance(state, token)


def test_every_chunk_has_its_ratio():
    ids = chunks(10, 6, 9).ids(*content(25, 9))
    first = ids[:25]
    assert (first < 50).tolist() == [True] * 10 + [False] * 15
    assert ((first >= 50) & (first < 70)).sum() == 6
    last = ids[50:75]
    assert (last[:5] < 50).all() and (last[5:10] == PAD).all()


def test_audio_alone_has_no_slots_for_text():
    laid = Chunks(SIZE, TEXT, (SEMANTIC,), text=0, codes=(3,), pad=PAD, end=END)
    codes = (torch.arange(70, 76),)
    assert laid.ids([], codes).tolist() == [*range(70, 76), END]
    assert laid.read(laid.ids([], codes))[0] == []
    with pytest.raises(StentorError, match="no room for text"):
        laid.ids([1], codes)


@pytest.mark.parametrize("padding", [1.0, 0.0])
def test_spans_are_the_same_ids_and_padding_has_its_own_weight(padding):
    laid = chunks(4, 2, 3)
    written, codes = content(3, 2)
    packed = pack([laid.spans(written, codes, padding=padding)])
    ids = laid.ids(written, codes)
    assert torch.equal(packed.ids, ids)
    padded = ids[1:] == PAD
    assert padded.any()
    assert (packed.weights[:-1][padded] == padding).all() and (packed.weights[:-1][~padded] == 1).all()


def test_what_was_cut_short_is_read_as_far_as_it_goes():
    laid = chunks(1, 2, 3)
    written, codes = content(4, 4)
    text, (linguistic, semantic) = laid.read(laid.ids(written, codes)[:9])
    assert text == written[:2] and torch.equal(linguistic, codes[0][:4]) and torch.equal(semantic, codes[1][:3])


def test_impossible_shapes_and_ids():
    with pytest.raises(StentorError, match="at least one code"):
        chunks(1, 0, 3)
    with pytest.raises(StentorError, match=r"does not lie in 0\.\.49"):
        chunks(1, 2, 3).ids([77], content(0, 1)[1])
