"""Frames to stretches and end points: the rules on signals made by hand, and that calls of any size agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.vad.endpoint import Endpoint, Endpointer, EndpointSettings, endpoints
from stentor.vad.segments import SegmentSettings, segments

FRAME = 0.1
PLAIN = SegmentSettings(min_speech=0.2, min_silence=0.5, padding=0.0)
RULES = {"min_speech": 0.2, "min_silence": 0.5, "padding": 0.2, "longest": 3.0}


def frames(pattern: str) -> list[float]:
    """``#`` is speech, ``~`` lies between the two thresholds, anything else is silence."""
    return [{"#": 0.9, "~": 0.4}.get(sign, 0.1) for sign in pattern]


def found(pattern: str, rules: SegmentSettings = PLAIN) -> list[tuple[float, float]]:
    return [(round(a, 6), round(b, 6)) for a, b in segments(frames(pattern), FRAME, rules)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", []),
        ("..........", []),
        ("..#.......", []),  # too short
        ("..##......", [(0.2, 0.4)]),
        ("..##....##......", [(0.2, 1.0)]),  # the pause is too short to end it
        ("..##.....##......", [(0.2, 0.4), (0.9, 1.1)]),
        ("..~~~#####", [(0.5, 1.0)]),  # between the thresholds nothing begins
        ("..###~~~~~~~~~.....", [(0.2, 1.4)]),  # nor ends
        ("..#..#.....", []),  # two blips are no speech
        ("##", [(0.0, 0.2)]),  # what goes on ends with the recording
    ],
)
def test_hysteresis_and_least_lengths(pattern: str, expected: list[tuple[float, float]]) -> None:
    assert found(pattern) == expected


def test_padding_stays_inside_and_apart() -> None:
    rules = SegmentSettings(min_speech=0.2, min_silence=0.4, padding=0.2)
    assert found(".##....##.", rules) == [(0.0, 0.5), (0.5, 1.0)]


@pytest.mark.parametrize(
    ("options", "path"),
    [({"onset": 0.0}, "onset"), ({"offset": 0.6}, "offset"), ({"padding": 0.3}, "padding"), ({"min_silence": 0.0},
     "min_silence"), ({"min_speech": -1.0}, "min_speech")],
)  # fmt: skip
def test_settings_out_of_range_are_named(options: dict[str, float], path: str) -> None:
    with pytest.raises(StentorError) as caught:
        SegmentSettings(**options)
    assert caught.value.path == path
    with pytest.raises(StentorError, match="longest"):
        EndpointSettings(longest=0.5)


def test_an_utterance_is_over_after_the_pause_and_not_before() -> None:
    endpointer = Endpointer(FRAME, EndpointSettings(**RULES))
    over = [endpointer.step(p) for p in frames("..#####.....")]
    assert over[:-1] == [None] * 11 and over[-1] == Endpoint(0, 9, "pause")


def test_the_begin_is_told_as_soon_as_it_is_sure() -> None:
    endpointer = Endpointer(FRAME, EndpointSettings(**RULES))
    begins = [(endpointer.step(p), endpointer.begin)[1] for p in frames("...####")]
    assert begins == [None, None, None, None, 1, 1, 1]


def test_an_utterance_that_is_too_long_is_cut_where_it_is_least_like_speech() -> None:
    """30 frames are the longest; the quietest of the last quarter of them is frame 27."""
    pattern = "#" * 27 + "~" + "#" * 20
    first, second = endpoints(frames(pattern), FRAME, EndpointSettings(**RULES))
    assert first == Endpoint(0, 27, "length") and second == Endpoint(27, 48, "end")


def test_silence_is_not_cut_off_as_an_utterance_of_its_own() -> None:
    """Speech that ends shortly before the longest utterance does: half of a pause is enough to tell."""
    pattern = "#" * 27 + "." * 20
    assert endpoints(frames(pattern), FRAME, EndpointSettings(**RULES)) == [Endpoint(0, 29, "pause")]


def test_speech_without_a_pause_never_ends_later_than_the_longest() -> None:
    over = endpoints(frames("#" * 200), FRAME, EndpointSettings(**RULES))
    assert all(one.end - one.begin <= 30 for one in over)
    assert [one.begin for one in over[1:]] == [one.end for one in over[:-1]] and over[-1].end == 200


def test_silence_at_the_beginning_has_a_rule_of_its_own() -> None:
    rules = EndpointSettings(**RULES, initial_silence=1.0)
    over = endpoints(frames("." * 25), FRAME, rules)
    assert over == [Endpoint(0, 10, "silence"), Endpoint(10, 20, "silence")]
    assert [one.reason for one in endpoints(frames("." * 8 + "#" * 5 + "." * 9), FRAME, rules)] == ["pause"]
    assert endpoints(frames("." * 99), FRAME, EndpointSettings(**RULES)) == []


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pattern=st.text("#~.", max_size=120), silence=st.sampled_from([None, 0.7]))
def test_utterances_are_in_order_apart_and_inside(pattern: str, silence: float | None) -> None:
    over = endpoints(frames(pattern), FRAME, EndpointSettings(**RULES, initial_silence=silence))
    edges = [edge for one in over if one.reason != "silence" for edge in (one.begin, one.end)]
    assert edges == sorted(edges) and all(0 <= edge <= len(pattern) for edge in edges)
    assert all(one.begin < one.end for one in over)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pattern=st.text("#~.", max_size=100))
def test_what_the_endpointer_promises_meanwhile_holds(pattern: str) -> None:
    """No utterance begins before `earliest` said; an open one keeps its begin; `heard` never passes the end."""
    endpointer, told, early = Endpointer(FRAME, EndpointSettings(**RULES)), None, 0
    for p in [*frames(pattern), None]:
        over = endpointer.flush() if p is None else endpointer.step(p)
        if over is not None:
            assert over.begin >= early and told in (None, over.begin)
            told = None
        told = endpointer.begin if endpointer.begin is not None else None
        assert told is None or told >= early
        early = endpointer.earliest if told is None else early
        assert endpointer.heard <= endpointer.at
