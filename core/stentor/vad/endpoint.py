"""Endpointing: when an utterance is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stentor.config import ranges
from stentor.vad.segments import Segmenter, SegmentSettings, frames_of

Reason = Literal["pause", "length", "silence", "end"]
_LATE = 0.25


@dataclass(frozen=True)
class EndpointSettings(SegmentSettings):
    """The rules; an utterance is over after `min_silence` of silence, and by the two rules here.

    Attributes:
        longest: an utterance that goes on for so long is cut where its last quarter is least like speech (s); when
            nobody speaks any more, half of the pause is enough.
        initial_silence: silence for so long before anybody speaks is reported as an empty utterance (s); None: never.
    """

    longest: float = 30.0
    initial_silence: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        silent = ranges.above_zero(1.0 if self.initial_silence is None else self.initial_silence)
        least = max(2 * self.min_silence, self.min_speech + 2 * self.padding)
        ranges.check(self, {"longest": ranges.least(self.longest, least), "initial_silence": silent})


@dataclass(frozen=True)
class Endpoint:
    """An utterance is over: its frames [begin, end), and which rule said so: ``pause``, ``length`` (cut while somebody
    speaks), ``silence`` (nobody spoke) or ``end`` (of the stream).
    """

    begin: int
    end: int
    reason: Reason


class Endpointer:
    """Follows one stream; it is the stream's state, explicit, and does not depend on how its frames are cut into calls.

    Args:
        frame_seconds: length of a frame of the detector (s).
        settings: the rules.
    """

    def __init__(self, frame_seconds: float, settings: EndpointSettings) -> None:
        self._segmenter = Segmenter(frame_seconds, settings)
        self._longest = max(2, frames_of(settings.longest, frame_seconds))
        self._half_pause = max(1, frames_of(settings.min_silence / 2, frame_seconds))
        silence = settings.initial_silence
        self._patience = None if silence is None else max(1, frames_of(silence, frame_seconds))
        self._since = 0
        self._late: deque[float] = deque(maxlen=max(1, int(_LATE * self._longest)))

    @property
    def at(self) -> int:
        """Frames taken."""
        return self._segmenter.at

    @property
    def begin(self) -> int | None:
        """First frame of the utterance that goes on; None while nobody speaks."""
        return self._segmenter.begin

    @property
    def earliest(self) -> int:
        """No utterance to come, nor the one that goes on, begins before this frame."""
        speech = self._segmenter.speech
        first = self._segmenter.at if speech is None else speech.first
        return max(0, first - self._segmenter.padding)

    @property
    def heard(self) -> int:
        """The frame up to which the utterance that goes on reaches by now; the silence after it does not belong."""
        return self._segmenter.heard

    def step(self, probability: float) -> Endpoint | None:
        """Take the next frame; say whether an utterance is over with it."""
        self._late.append(probability)
        over = self._segmenter.step(probability)
        if over is not None:
            return self._over(*over, "pause")
        begin, at = self._segmenter.begin, self._segmenter.at
        if begin is not None and at - begin >= self._longest:
            return self._too_long()
        waiting = self._segmenter.speech is None and self._patience is not None
        if waiting and at - self._since >= (self._patience or 0):
            self._segmenter.leave()
            return self._over(self._since, at, "silence")
        return None

    def flush(self) -> Endpoint | None:
        """The stream is over; so is the utterance that goes on."""
        over = self._segmenter.close()
        return None if over is None else self._over(*over, "end")

    def _too_long(self) -> Endpoint:
        """Cut inside speech; but after half of the pause that is waited for nothing is left to be cut off."""
        speech = self._segmenter.speech
        quiet = 0 if speech is None or speech.quiet is None else self.at - speech.quiet
        over = self._segmenter.close() if quiet >= self._half_pause else None
        if over is not None:
            return self._over(*over, "pause")
        return self._over(*self._segmenter.cut(self._least_like_speech()), "length")

    def _over(self, begin: int, end: int, reason: Reason) -> Endpoint:
        self._since = self._segmenter.at
        return Endpoint(begin, end, reason)

    def _least_like_speech(self) -> int:
        """The latest of the least likely frames among the last quarter of the longest utterance."""
        late = list(self._late)
        lowest = min(range(len(late)), key=lambda index: (late[index], -index))
        return self._segmenter.at - len(late) + lowest


def endpoints(
    probabilities: Iterable[float], frame_seconds: float, settings: EndpointSettings | None = None
) -> list[Endpoint]:
    """All utterances of a recording, of which every frame is known."""
    endpointer = Endpointer(frame_seconds, settings or EndpointSettings())
    found = [endpointer.step(float(probability)) for probability in probabilities]
    return [one for one in (*found, endpointer.flush()) if one is not None]
