"""The contract that a plugin declares for its own kind: found by the kit, and it finds what is wrong."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.registry import Origin
from stentor.testing import check, contract_for

recogniser = pytest.importorskip("stentor_asr.transcribe.recogniser", reason="the asr plugin is not installed")


class Sound(recogniser.Recogniser):
    """Tells how loud each second of a window is."""

    sample_rate, window_seconds = 8000, 4.0
    abilities = frozenset({"words"})

    def __init__(self) -> None:
        pass

    def recognise(self, windows, request=recogniser.PLAIN):
        told = [list(self.segments(window, len(windows))) for window in windows]
        if request.words:
            told = [[replace(segment, words=tuple(self.words(segment))) for segment in one] for one in told]
        return [recogniser.Heard(tuple(one)) for one in told]

    def words(self, segment):
        yield recogniser.Word(segment.start, segment.end, segment.text)

    def segments(self, window, company):
        for start in range(0, len(window), self.sample_rate):
            stretch = window[start : start + self.sample_rate]
            begin, end = start / self.sample_rate, (start + len(stretch)) / self.sample_rate
            yield recogniser.Segment(begin, end, f"{np.abs(stretch).max():.2f}", 0.5)


class Chatty(Sound):
    """Says how many others there are."""

    def segments(self, window, company):
        yield recogniser.Segment(0.0, len(window) / self.sample_rate, f"one of {company}")


class Backwards(Sound):
    """Tells the last segment first."""

    def segments(self, window, company):
        return reversed(list(super().segments(window, company)))


class Late(Sound):
    """Counts a window's times from something else."""

    def segments(self, window, company):
        yield recogniser.Segment(5.0, 6.0, "late")


class Mumbling(Sound):
    """Has segments without text."""

    def segments(self, window, company):
        yield recogniser.Segment(0.0, len(window) / self.sample_rate, " ")


class Straying(Sound):
    """Has words outside their segment."""

    def words(self, segment):
        yield recogniser.Word(segment.start, segment.end + 1.0, segment.text)


class Forgetting(Sound):
    """Leaves letters out of its words."""

    def words(self, segment):
        yield recogniser.Word(segment.start, segment.end, segment.text[:-1])


class Imagining(Sound):
    """Hears something in silence."""

    def predict(self, batch):
        return ["thank you"] * len(batch["audio"])


LIES = [
    (Chatty, "batch_equals_single", "alone"),
    (Backwards, "segments_in_order", "the segments of window"),
    (Late, "times_inside_window", "has segments at [5.0, 6.0] s"),
    (Mumbling, "segments_say_something", "says ' '"),
    (Straying, "words_of_segments", "the words of a segment of window"),
    (Forgetting, "words_of_segments", "the words of '0."),
    (Imagining, "silence", "silence gives ['thank you'"),
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The recognisers above, registered as those of a plugin 'liars'."""
    module = ModuleType("recogniser_liars")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    known = registry()
    saved, origin = known.snapshot(), known.origin
    known.origin = Origin("liars", "stentor-liars", "1.0")
    for one in (Sound, *(lie for lie, *_ in LIES)):
        setattr(module, one.__name__, one)
        known.add("recogniser", one.__name__, f"recogniser_liars:{one.__name__}")
    yield
    known.restore(saved)
    known.origin = origin


def outcomes(name):
    return {result.check: result for result in check("recogniser", name)}


def test_a_sound_one_passes_everything():
    assert {name: found.reason for name, found in outcomes("Sound").items() if found.outcome != "passed"} == {}


@pytest.mark.parametrize(("lie", "wrong", "words"), LIES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_lie_is_found(lie, wrong, words):
    failed = {name: found for name, found in outcomes(lie.__name__).items() if found.outcome == "failed"}
    assert set(failed) == {wrong}
    assert words in failed[wrong].reason
    assert f"recogniser '{lie.__name__}' of plugin 'liars'" in failed[wrong].reason


@pytest.mark.parametrize("target", ["stentor_asr.testing:texts", "stentor.testing:EncoderContract"])
def test_what_is_no_contract_of_the_kind_is_refused(monkeypatch, target):
    monkeypatch.setattr(recogniser.Recogniser, "contract", target)
    with pytest.raises(StentorError, match=r"plugin 'asr'.*and that is none"):
        contract_for("recogniser")
