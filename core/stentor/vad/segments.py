"""Frames of a voice activity detector to stretches of speech."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stentor.config import ranges


@dataclass(frozen=True)
class SegmentSettings:
    """What counts as a stretch of speech.

    Attributes:
        onset: probability from which on a frame begins speech.
        offset: probability below which a frame ends it; between the two, what was goes on.
        min_speech: shorter stretches are no speech (s).
        min_silence: shorter pauses do not end it (s).
        padding: added to both ends, so that soft sounds are kept (s); at most half of `min_silence`.
    """

    onset: float = 0.5
    offset: float = 0.35
    min_speech: float = 0.1
    min_silence: float = 0.5
    padding: float = 0.2

    def __post_init__(self) -> None:
        ranges.check(self, {
            "onset": (0 < self.onset <= 1, f"more than 0 and at most 1, not {self.onset:g}"),
            "offset": (0 <= self.offset <= self.onset, f"between 0 and the onset, {self.onset:g}, not {self.offset:g}"),
            "min_speech": ranges.least(self.min_speech, 0),
            "min_silence": ranges.above_zero(self.min_silence),
            "padding": (0 <= 2 * self.padding <= self.min_silence, f"between 0 and half of the pause that ends speech, "
                        f"{self.min_silence:g} s, not {self.padding:g}"),
        })  # fmt: skip


@dataclass
class Open:
    """A stretch that goes on: its first frame without padding, the first frame of the pause it is in, if it counts."""

    first: int
    quiet: int | None = None
    sure: bool = False


class Segmenter:
    """Takes one stream's frames as they come; `segments` does it for all at once.

    Attributes:
        at: frames taken.
        speech: the stretch that goes on; None in silence.
        padding: (frames).
    """

    def __init__(self, frame_seconds: float, settings: SegmentSettings) -> None:
        self.settings, self.at = settings, 0
        self.speech: Open | None = None
        self._least_speech = max(1, frames_of(settings.min_speech, frame_seconds))
        self._least_silence = max(1, frames_of(settings.min_silence, frame_seconds))
        self.padding = min(frames_of(settings.padding, frame_seconds), self._least_silence // 2)
        self._free = 0

    def step(self, probability: float) -> tuple[int, int] | None:
        """Take the next frame; give the stretch [first frame, end frame) that is over with it, padded."""
        self.at += 1
        speech = self.speech
        if speech is None:
            if probability >= self.settings.onset:
                self.speech = Open(self.at - 1)
                self._become_sure(self.speech)
            return None
        if probability >= self.settings.onset:
            speech.quiet = None
        elif probability < self.settings.offset and speech.quiet is None:
            speech.quiet = self.at - 1
        if speech.quiet is None:
            self._become_sure(speech)
        pause = 0 if speech.quiet is None else self.at - speech.quiet
        if not speech.sure and pause >= self._least_speech:
            self.speech = None
        return self.close() if speech.sure and pause >= self._least_silence else None

    @property
    def begin(self) -> int | None:
        """First frame, padded, of the stretch that goes on, once it is sure to be speech."""
        if self.speech is None or not self.speech.sure:
            return None
        return max(self._free, self.speech.first - self.padding)

    @property
    def heard(self) -> int:
        """The frame up to which, as things are, the stretch that goes on would reach."""
        quiet = self.speech.quiet if self.speech else None
        return self.at if quiet is None else min(self.at, quiet + self.padding)

    def close(self) -> tuple[int, int] | None:
        """End the stretch that goes on, if it is sure to be speech, where speech was last heard."""
        begin, end = self.begin, self.heard
        self.speech = None
        if begin is None:
            return None
        self._free = end
        return begin, end

    def leave(self) -> None:
        """No stretch to come begins before the next frame."""
        self._free = self.at

    def cut(self, frame: int) -> tuple[int, int]:
        """End the stretch that goes on at `frame`, inside it, and go on with the rest as a new stretch."""
        begin, speech = self.begin, self.speech
        assert begin is not None and speech is not None
        quiet = None if speech.quiet is None else max(speech.quiet, frame)
        self.speech, self._free = Open(frame, quiet, True), frame
        return begin, frame

    def _become_sure(self, speech: Open) -> None:
        speech.sure = speech.sure or self.at - speech.first >= self._least_speech


def segments(
    probabilities: Iterable[float], frame_seconds: float, settings: SegmentSettings | None = None
) -> list[tuple[float, float]]:
    """Stretches of speech (start, end) in seconds, in order and not overlapping.

    Args:
        probabilities: of speech, frame by frame.
        frame_seconds: length of a frame (s).
        settings: what counts as a stretch.
    """
    segmenter = Segmenter(frame_seconds, settings or SegmentSettings())
    found = [segmenter.step(float(probability)) for probability in probabilities]
    found.append(segmenter.close())
    return [(begin * frame_seconds, end * frame_seconds) for begin, end in filter(None, found)]


def frames_of(seconds: float, frame_seconds: float) -> int:
    """The fewest frames that last `seconds`."""
    return math.ceil(seconds / frame_seconds - 1e-9)
