"""Packing never loses, moves or leaks a position."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.sequence import spans
from stentor.sequence.packing import CONTINUOUS, pack

span = st.one_of(
    st.lists(st.integers(0, 99), min_size=1, max_size=6).map(spans.text),
    st.lists(st.integers(0, 99), min_size=1, max_size=3).map(lambda ids: spans.control(*ids)),
    st.lists(st.integers(0, 99), min_size=1, max_size=3).map(lambda ids: spans.codes(ids, weight=0.5)),
    st.integers(1, 7).map(spans.heard),
    st.integers(1, 7).map(lambda n: spans.heard(n, attention="both-ways")),
)
batches = st.lists(st.lists(span, min_size=1, max_size=5), min_size=1, max_size=4)


@given(batches)
@settings(max_examples=80, deadline=None)
def test_every_position_is_kept_in_order(batch):
    packed = pack(batch)
    flat = [
        i for sequence in batch for s in sequence for i in (s.ids.tolist() if s.ids is not None else [-1] * s.length)
    ]
    assert packed.ids.tolist() == flat
    assert sum(packed.lengths) == len(flat)
    assert packed.continuous.sum() == sum(s.length for sequence in batch for s in sequence if s.ids is None)


@given(batches)
@settings(max_examples=80, deadline=None)
def test_targets_are_the_next_id_of_the_same_sequence_and_carry_its_weight(batch):
    packed = pack(batch)
    at = 0
    for sequence, length in zip(batch, packed.lengths, strict=True):
        weights = [s.weight for s in sequence for _ in range(s.length)]
        for i in range(length):
            following = weights[i + 1] if i + 1 < length else 0.0
            assert packed.weights[at + i] == following
            expected = packed.ids[at + i + 1] if following else -100
            assert packed.targets[at + i] == expected
        at += length


@given(batches)
@settings(max_examples=40, deadline=None)
def test_a_batch_packs_to_what_its_sequences_pack_to_alone(batch):
    whole, alone = pack(batch), [pack([sequence]) for sequence in batch]
    assert torch.equal(whole.targets, torch.cat([one.targets for one in alone]))
    assert torch.equal(whole.unpack(whole.ids, CONTINUOUS)[whole.valid()], whole.ids)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pack([]), "no sequences"),
        (lambda: pack([[spans.heard(1)], []]), "sequence 1"),
        (lambda: spans.Span("text", 2), "needs"),
        (lambda: spans.Span("heard", 1, torch.tensor([1])), "cannot have"),
        (lambda: spans.Span("heard", 1, weight=1.0), "continuous"),
        (lambda: spans.Span("text", 3, torch.tensor([1])), "length 3"),
        (lambda: spans.text([1], weight=float("nan")), "at least 0"),
    ],
)
def test_bad_spans_are_refused_in_words(make, said):
    with pytest.raises(StentorError, match=said):
        make()
