"""Edit distance, alignment, normalisers and the two error rates."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor import plugins
from stentor.errors import StentorError
from stentor.evaluate.alignment import align, distance, tally

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=14)
RANDOM = st.text(st.characters(codec="utf-8"), max_size=40)


def metric(name, **configured):
    return plugins.registry().build("metric", name, **configured)


def normaliser(name):
    return plugins.registry().build("normaliser", name)


@pytest.mark.parametrize(
    ("reference", "output", "substitutions", "insertions", "deletions"),
    [
        ("", "", 0, 0, 0),
        ("a b c", "a b c", 0, 0, 0),
        ("the cat sat on the mat", "the cat sit on mat", 1, 0, 1),
        ("a b", "x a b y", 0, 2, 0),
        ("a b c d", "", 0, 0, 4),
        ("", "a b", 0, 2, 0),
        ("turn left at the light", "turn the left at light", 0, 1, 1),
        ("one two three", "four five six", 3, 0, 0),
    ],
)
def test_alignment_of_hand_worked_cases(reference, output, substitutions, insertions, deletions):
    found = tally(align(reference.split(), output.split()))
    assert (found["substitution"], found["insertion"], found["deletion"]) == (substitutions, insertions, deletions)
    assert distance(reference.split(), output.split()) == substitutions + insertions + deletions


def test_distance_of_textbook_words():
    assert distance("kitten", "sitting") == 3
    assert distance("intention", "execution") == 5
    assert distance("saturday", "sunday") == 3


@given(WORDS, WORDS, WORDS)
@settings(max_examples=300, deadline=None)
def test_distance_is_a_metric(a, b, c):
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))


@given(st.lists(st.integers(0, 3), max_size=150), st.lists(st.integers(0, 3), max_size=150))
@settings(max_examples=60, deadline=None)
def test_alignment_costs_the_distance_and_spells_both_sides(a, b):
    a, b = list(map(str, a)), list(map(str, b))
    steps = align(a, b)
    assert sum(step.kind != "equal" for step in steps) == distance(a, b)
    assert [step.reference for step in steps if step.reference is not None] == a
    assert [step.output for step in steps if step.output is not None] == b


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Mr. Jones WON'T go!", "mister jones will not go"),
        ("um, it's twenty-one dollars (laughs)", "it is $21"),
        ("the colour of honour", "the color of honor"),
        ("one two three", "123"),
        ("  [noise] ", ""),
        ("forty plus three", "40 3"),
        ("minus five", "5"),
        ("zero zero seven", "7"),
    ],
)
def test_english_normaliser(text, normal):
    assert normaliser("english")(text) == normal


def test_basic_and_no_normaliser():
    assert normaliser("basic")(" Žluťoučký  KŮŇ, úpěl-ďábelské… ódy! ") == "žluťoučký kůň úpěl ďábelské ódy"
    assert normaliser("none")(" As  it\tis. ") == "As it is."


NUMBERS = st.lists(
    st.sampled_from(
        [
            "zero",
            "oh",
            "one",
            "five",
            "twenty",
            "hundred",
            "thousand",
            "point",
            "minus",
            "plus",
            "half",
            "and",
            "percent",
            "dollars",
            "double",
            "-3",
            "+4",
            "007",
            "$5",
            "1,000",
            "5%",
            "£2.50",
            "3/4",
            "21st",
            "o'clock",
            "i'd",
            "colour",
        ]
    ),
    max_size=6,
).map(" ".join)


@pytest.mark.parametrize("name", ["english", "basic", "none"])
@given(text=RANDOM | NUMBERS)
@settings(deadline=None)
def test_normalisers_are_idempotent_and_single_spaced(name, text):
    once = normaliser(name)(text)
    assert normaliser(name)(once) == once
    assert once == " ".join(once.split())


def test_word_error_rate_counts_over_reference_words():
    wer = metric("wer")
    assert wer.counts(["The cat sat.", "hello there"], ["the cat SAT", "hello"]) == [(0, 3), (1, 2)]
    assert wer.counts(["", "big words"], ["big words", ""]) == [(2, 0), (2, 2)]


def test_character_error_rate_counts_spaces():
    assert metric("cer", normaliser="none").counts(["a cat"], ["acat"]) == [(1, 5)]


def test_a_metric_states_its_normaliser():
    assert "Whisper's English normaliser" in metric("wer").describe()
    assert "for any language" in metric("cer", normaliser="basic").describe()


def test_unknown_normaliser_gets_the_near_match():
    with pytest.raises(StentorError) as caught:
        metric("wer", normaliser="englich")
    assert caught.value.suggestion == "english"


def test_agrees_with_jiwer_where_it_is_installed():
    jiwer = pytest.importorskip("jiwer", reason="jiwer is only needed for this comparison")
    pairs = [("the cat sat on the mat", "the cat sit on mat"), ("a b c d e", "e d c b a"), ("x y z", "x y z w v")]
    for reference, output in pairs:
        assert distance(reference.split(), output.split()) / len(reference.split()) == pytest.approx(
            jiwer.wer(reference, output)
        )
