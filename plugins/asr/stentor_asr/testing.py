"""The contract of recognisers, as `stentor.testing` has one for every kind of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from stentor.errors import StentorError
from stentor.testing import ComponentContract
from stentor.testing.signals import voiced
from stentor_asr.transcribe.recogniser import Heard, Request


class RecogniserContract(ComponentContract):
    """Checks for recognisers; those that listen are skipped where the pretrained weights are not installed.

    Attributes:
        time_step: what segment times are rounded to (s); the last one may lie that far behind the window's end.
    """

    kind = "recogniser"
    time_step: ClassVar[float] = 0.02
    _recogniser: ClassVar[Any]
    _heard: ClassVar[list[Heard]]

    @property
    def recogniser(self) -> Any:
        """One instance with its weights for all checks: loading takes seconds."""
        if "_recogniser" not in vars(type(self)):
            built = self.build()
            try:
                built.load_pretrained()
            except StentorError as error:
                if "not installed" not in str(error):
                    raise
                self.skip(str(error))
            type(self)._recogniser = built
        return type(self)._recogniser

    def windows(self) -> list[np.ndarray]:
        """What it is given to hear, float32 [N] each: of several lengths, the longest that it takes among them."""
        rate, longest = self.recogniser.sample_rate, self.recogniser.window_seconds
        lengths = [min(seconds, longest) for seconds in (0.4, 2.0)] + [longest]
        return [
            voiced(round(seconds * rate), rate, 100.0 + 20 * row).numpy().astype(np.float32)
            for row, seconds in enumerate(lengths)
        ]

    @property
    def heard(self) -> list[Heard]:
        """What it heard in `windows`, all at once."""
        if "_heard" not in vars(type(self)):
            type(self)._heard = self.recogniser.recognise(self.windows())
        return type(self)._heard

    def test_one_answer_per_window(self) -> None:
        """As many answers as windows, none for none."""
        given, found = len(self.windows()), len(self.heard)
        self.demand(given == found, f"{given} windows give {found} answers.")
        self.demand(list(self.recogniser.recognise([])) == [], "no windows give answers.")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its windows give alone: texts and languages exactly, times to a step."""
        for row, (window, together) in enumerate(zip(self.windows(), self.heard, strict=True)):
            (alone,) = self.recogniser.recognise([window])
            same = texts(alone) == texts(together) and alone.language == together.language
            self.demand(same, f"window {row} gives {texts(alone)!r:.80} alone and {texts(together)!r:.80} in a batch.")
            apart = max((abs(a - b) for a, b in zip(times(alone), times(together), strict=True)), default=0.0)
            self.demand(apart <= self.time_step, f"times of window {row} differ by {apart:.3f} s in a batch.")

    def test_segments_in_order(self) -> None:
        """Segments follow one another without overlap, and each ends after it begins."""
        for row, heard in enumerate(self.heard):
            flat = times(heard)
            fine = flat == sorted(flat) and all(one.start < one.end for one in heard.segments)
            self.demand(fine, f"the segments of window {row} lie at {flat} s.")

    def test_times_inside_window(self) -> None:
        """No segment begins before its window or ends behind it."""
        for window, heard in zip(self.windows(), self.heard, strict=True):
            end = len(window) / self.recogniser.sample_rate
            flat = times(heard)
            fine = all(0 <= time <= end + self.time_step for time in flat)
            self.demand(fine, f"a window of {end:.2f} s has segments at {flat} s.")

    def test_segments_say_something(self) -> None:
        """Every segment has text without blanks around it, and a confidence in (0, 1] or none."""
        for segment in (segment for heard in self.heard for segment in heard.segments):
            text, sure = segment.text, segment.confidence
            self.demand(bool(text) and text == text.strip(), f"a segment says {text!r}.")
            self.demand(sure is None or 0 < sure <= 1 + 1e-6, f"a segment has confidence {sure}.")

    def test_words_of_segments(self) -> None:
        """With words asked for, the texts stay; words follow one another inside their segment and spell its text."""
        if "words" not in self.recogniser.abilities:
            self.skip("it gives no words.")
        for row, (plain, heard) in enumerate(
            zip(self.heard, self.recogniser.recognise(self.windows(), Request(words=True)), strict=True)
        ):
            self.demand(texts(plain) == texts(heard), f"window {row} says something else when asked for words.")
            for segment in heard.segments:
                flat = [time for word in segment.words for time in (word.start, word.end)]
                inside = not flat or (segment.start - 1e-6 <= flat[0] and flat[-1] <= segment.end + 1e-6)
                self.demand(inside and flat == sorted(flat), f"the words of a segment of window {row} lie at {flat} s.")
                spelled = "".join("".join(word.text.split()) for word in segment.words)
                said = "".join(segment.text.split())
                self.demand(spelled == said, f"the words of '{said:.60}' are '{spelled:.60}'.")

    def test_silence(self) -> None:
        """Digital silence, a row of no length among it, gives no text."""
        rate = self.recogniser.sample_rate
        lengths = np.array([rate, rate // 2, 0])
        found = self.recogniser.predict({"audio": np.zeros((3, rate), np.float32), "audio_lengths": lengths})
        self.demand(found == ["", "", ""], f"silence gives {found!r:.80}.")

    def test_a_single_sample(self) -> None:
        """A window of one sample is heard like any other."""
        found = self.recogniser.recognise([np.full(1, 0.1, np.float32)])
        self.demand(len(found) == 1, f"one window of one sample gives {len(found)} answers.")


def texts(heard: Heard) -> list[str]:
    """What was said, segment by segment."""
    return [segment.text for segment in heard.segments]


def times(heard: Heard) -> Sequence[float]:
    """Start and end of every segment, in order (s)."""
    return [time for segment in heard.segments for time in (segment.start, segment.end)]
