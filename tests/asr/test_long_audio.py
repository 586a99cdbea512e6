"""Long audio by voice activity: windows of speech, and seams at which no word is doubled or lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.vad import VAD
from stentor_asr.transcribe.pipeline import Transcript, _Job, transcribe
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Segment, Word
from stentor_asr.transcribe.seams import stitched
from stentor_asr.transcribe.windows import Window, _Cutter, cut_speech

RATE = 2000
WORD, GAP = 600, 100  # samples of a word, and of the soft sound after it


class Level(VAD):
    """Speech is what is loud; a frame of 50 ms."""

    sample_rate, frame_seconds = RATE, 0.05

    def begin(self, batch):
        return None

    def judge(self, frames, inner):
        return (np.abs(frames).max(axis=2) > 0.005).astype(np.float32), inner


class Reader(Recogniser):
    """Reads numbers that were written into the samples: word n is 600 samples of n / 10000, then 100 of 0.006.

    A word of which less than 80 % is in the window is heard as ``uh``, one of less than 20 % not at all.
    """

    sample_rate, window_seconds = RATE, 12.0
    timed = True

    def recognise(self, windows, request=PLAIN):
        assert all(len(window) <= self.window_seconds * RATE for window in windows)
        return [Heard(tuple(self._segments(window))) for window in windows]

    def _segments(self, window):
        spoken = np.round(window * 10_000).astype(int)
        words, at = [], 0
        while at < len(spoken):
            end = at + int((np.append(spoken[at:], -1) != spoken[at]).argmax())
            if spoken[at] > 100 and end - at >= 0.2 * WORD:
                text = str(spoken[at]) if end - at >= 0.8 * WORD else "uh"
                words.append(Word(at / RATE, end / RATE, text))
            at = end
        if words:
            text = " ".join(word.text for word in words)
            yield Segment(words[0].start, words[-1].end, text, words=tuple(words) if self.timed else ())


class Untimed(Reader):
    timed = False


def spoken(numbers: list[int], pauses: dict[int, int]) -> np.ndarray:
    """Samples of words; `pauses`: after how many words how many ms of silence follow."""
    parts = [np.zeros(RATE, np.float32)]
    for index, number in enumerate(numbers):
        parts += [np.full(WORD, number / 10_000, np.float32), np.full(GAP, 0.006, np.float32)]
        parts.append(np.zeros(2 * pauses.get(index, 0), np.float32))
    return np.concatenate([*parts, np.zeros(RATE, np.float32)])


@pytest.mark.parametrize("join", [0.0, 1.0])
@pytest.mark.parametrize("reader", [Reader, Untimed])
def test_no_word_is_doubled_or_lost_in_long_speech(reader, join: float, tmp_path: Path) -> None:
    """Four minutes: stretches with pauses, and one of nearly two minutes without any."""
    numbers = list(range(1000, 1600))
    path = tmp_path / "long.wav"
    pauses = dict.fromkeys(range(7, 250, 13), 900) | dict.fromkeys(range(590, 600, 4), 5000)
    samples = spoken(numbers, pauses)
    audio.write(path, samples, RATE)
    told: list[str] = []
    reader.join_pauses = join
    (found,) = transcribe([path], reader(), 3, told=lambda _, segment: told.append(segment.text), vad=Level())
    assert found.text.split() == [str(number) for number in numbers]
    assert " ".join(told) == found.text
    assert found.duration == pytest.approx(len(samples) / RATE)
    times = [time for segment in found.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)


def test_repeated_words_at_the_seam_are_kept_as_often_as_they_were_said(tmp_path: Path) -> None:
    numbers = [2000 + index // 4 for index in range(120)]
    path = tmp_path / "repeated.wav"
    audio.write(path, spoken(numbers, {}), RATE)
    (found,) = transcribe([path], Reader(), vad=Level())
    assert found.text.split() == [str(number) for number in numbers]


def test_windows_hold_the_speech_and_not_the_silence() -> None:
    samples = spoken(list(range(1000, 1010)), {4: 3000})
    windows = list(cut_speech([samples], RATE, 12.0, Level()))
    assert [round(window.start, 2) for window in windows] == [0.8, 5.55]
    assert sum(len(window.samples) for window in windows) < len(samples) - 3 * RATE
    assert not any(window.overlap or window.goes_on for window in windows)


def test_stretches_that_lie_close_together_can_share_a_window() -> None:
    """Pauses of 0.9 s are joined up to 12 s, the one of 3 s is not; silence at the ends is left out."""
    samples = spoken(list(range(1000, 1040)), {**dict.fromkeys(range(4, 40, 5), 900), 24: 3000})
    apart = list(cut_speech([samples], RATE, 12.0, Level()))
    joined = list(cut_speech([samples], RATE, 12.0, Level(), 1.0))
    assert len(apart) == 8 and len(joined) < 5
    edges = [(window.start, window.start + len(window.samples) / RATE) for window in joined]
    assert all(end - start <= 12.0 for start, end in edges)
    assert sorted(time for edge in edges for time in edge) == [time for edge in edges for time in edge]
    told = [text for heard in Reader().recognise([window.samples for window in joined]) for text in
            heard.segments[0].text.split()]  # fmt: skip
    assert told == [str(number) for number in range(1000, 1040)]


def test_no_window_is_longer_than_may_be_whatever_the_end() -> None:
    """A stretch that was cut, joined with one that just fills the window, in a file that ends inside a frame."""
    for words in range(28, 40):
        samples = spoken(list(range(1000, 1000 + words)), {words - 4: 550})[: 60 - RATE]
        windows = list(cut_speech([samples], RATE, 8.0, Level(), 1.0))
        assert len(windows) > 1 and all(len(window.samples) <= 8.0 * RATE for window in windows)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=8), join=st.sampled_from([0.0, 0.8]))
def test_windows_do_not_depend_on_blocks(sizes: list[int], join: float) -> None:
    samples = spoken(list(range(1000, 1070)), {20: 700, 25: 2000})
    edges = np.cumsum(np.resize(sizes, -(-len(samples) // min(sizes))))
    blocks = np.split(samples, edges[edges < len(samples)])
    whole, cut = (list(cut_speech(parts, RATE, 8.0, Level(), join)) for parts in ([samples], blocks))
    assert [(one.start, one.overlap, one.goes_on) for one in whole] == [(o.start, o.overlap, o.goes_on) for o in cut]
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(whole, cut, strict=True))
    assert all(len(one.samples) <= 8.0 * RATE for one in whole)


def test_little_is_held_of_a_long_silence() -> None:
    cutter, frame = _Cutter(100, RATE, 2 * RATE), 0
    for _ in range(200):
        cutter.hold(np.zeros(4000, np.float32))
        frame += 40
        cutter.forget(frame - 5)
        assert len(cutter._held) <= 4000 + 2 * RATE + 500


def test_what_was_heard_before_a_file_broke_off_is_kept() -> None:
    job = _Job(Transcript(Path("cut.wav")), waiting=2)
    texts = [" ".join(f"w{index}" for index in range(first, first + 20)) for first in (0, 20, 40)]
    heard = Heard(tuple(Segment(2.0 * index, 2.0 * index + 2, text) for index, text in enumerate(texts)))
    told = list(job.add(Window(0.0, np.zeros(9), 0.0, True), heard))
    assert [one.text for one in told] == texts[:2]  # a seam can only change the end
    assert job.finish().text == " ".join(texts)


def segment(text: str, start: float, end: float) -> Segment:
    return Segment(start, end, text)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("one two three fo", "ree four five", "one two three fo five"),  # nothing alike: the middle decides
        ("one two three", "Three, four", "one two three four"),
        ("one two three fo", "three four five", "one two three four five"),
        ("one two", "", "one two"),
        ("", "one two", "one two"),
        ("no no no no", "no no yes", "no no no no yes"),
    ],
)
def test_seams_by_hand(left: str, right: str, expected: str) -> None:
    """The left window lies at 0 to 4 s, the right one at 2 to 5 s."""
    before = [segment(left, 0.0, 4.0)] if left else []
    after = [segment(right, 2.0, 5.0)] if right else []
    found = " ".join(one.text for one in stitched(before, after, 2.0, 4.0))
    if expected == "one two three fo five":
        assert found.startswith("one two") and found.endswith("five") and len(found.split()) <= 5
    else:
        assert found.lower().replace(",", "") == expected


def test_a_detector_for_another_rate_is_refused(tmp_path: Path) -> None:
    class Slow(Level):
        sample_rate = 8000

    with pytest.raises(StentorError, match="8000 Hz"):
        list(transcribe([tmp_path], Reader(), vad=Slow()))
