"""ROVER, worked by hand."""

import itertools

import numpy as np
import pytest

from stentor_asr.rover import network, vote

# three systems, aligned:
#   turn  the  red  lamp  -   off
#   turn  -    red  lamp  on  now
#   turn  the  bed  lamp  -   off
THREE = [
    ["turn", "the", "red", "lamp", "off"],
    ["turn", "red", "lamp", "on", "now"],
    ["turn", "the", "bed", "lamp", "off"],
]


def said(transcripts):
    return [tuple(None if i is None else words[i] for words, i in zip(transcripts, slot, strict=True))
            for slot in network(transcripts)]  # fmt: skip


def test_three_systems_are_aligned_as_worked_by_hand():
    assert said(THREE) == [
        ("turn", "turn", "turn"),
        ("the", None, "the"),
        ("red", "red", "bed"),
        ("lamp", "lamp", "lamp"),
        (None, "on", None),
        ("off", "now", "off"),
    ]


def test_disagreement_is_exact():
    found = vote(THREE)
    assert found.words == ("turn", "the", "red", "lamp", "off")
    assert (found.positions, found.disagreed, found.disagreement) == (6, 0, 0.0)
    # all three have to agree: they do on turn and lamp, and not at the other four positions
    strict = vote(THREE, agree=3)
    assert strict.words == ("turn", "lamp")
    assert (strict.disagreed, strict.disagreement) == (4, 4 / 6)


def test_a_word_is_kept_where_two_agree():
    # three opinions at the second position; two words against none at the third
    transcripts = [["go", "left", "now"], ["go", "right", "now"], ["go", "straight"]]
    found = vote(transcripts)
    assert found.words == ("go", "now")
    assert (found.positions, found.disagreed, found.disagreement) == (3, 1, 1 / 3)
    assert vote(transcripts, agree=1).words == ("go", "left", "now")


def test_one_disagreement_among_twenty_words_is_five_per_cent():
    words = [f"w{number}" for number in range(20)]
    three = [[*words[:7], wrong, *words[8:]] for wrong in ("x", "y", "z")]
    assert vote(three).disagreement == 0.05
    assert vote([one[1:] for one in three]).disagreement == 1 / 19


def test_silence_agrees_with_silence_and_with_nothing_else():
    assert (vote([[], [], []]).words, vote([[], [], []]).disagreement) == ((), 0.0)
    assert (vote([["oh"], [], []]).words, vote([["oh"], [], []]).disagreement) == ((), 0.0)
    assert vote([["oh"], ["no"], []]).disagreement == 1.0
    assert vote([[], ["oh"], ["oh"]]).words == ("oh",)


@pytest.mark.parametrize("seed", range(5))
def test_every_word_has_its_place_in_order(seed):
    generator = np.random.default_rng(seed)
    transcripts = [generator.choice(list("abcd"), generator.integers(0, 12)).tolist() for _ in range(4)]
    slots = network(transcripts)
    for system, words in enumerate(transcripts):
        assert [slot[system] for slot in slots if slot[system] is not None] == list(range(len(words)))
    assert all(any(i is not None for i in slot) for slot in slots)


def test_equal_transcripts_agree_whatever_they_say():
    words = ["a", "b", "a", "a", "c", "b"]
    found = vote([words] * 3)
    assert (list(found.words), found.positions, found.disagreed) == (words, 6, 0)


def test_what_two_of_three_say_wins_in_any_order():
    transcripts = [["the", "cat", "sat", "down"], ["the", "cat", "sat"], ["the", "cat", "sat", "down"]]
    for order in itertools.permutations(transcripts):
        assert vote(order).words == ("the", "cat", "sat", "down")
