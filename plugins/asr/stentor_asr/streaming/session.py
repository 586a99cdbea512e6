"""A streaming recogniser: detector, end points and a listener put together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stentor.errors import StentorError
from stentor.interfaces.vad import VAD, VADState
from stentor.vad.endpoint import Endpoint, Endpointer, EndpointSettings
from stentor_asr.streaming.events import Event, Final, Partial
from stentor_asr.streaming.listener import Hearing, Listener
from stentor_asr.transcribe.pipeline import check_rates, moved


@dataclass
class Stream:
    """Where one stream stands; all of it is here, so that streams cannot disturb one another.

    Attributes:
        vad: state of the detector.
        endpointer: state of the end points.
        hearing: the utterance that goes on.
        start: its first sample.
        fed: the sample up to which it was fed.
        told: text of its last partial.
        held: samples that may still be needed.
        first: the sample at which they begin.
    """

    vad: VADState
    endpointer: Endpointer
    hearing: Hearing | None = None
    start: int = 0
    fed: int = 0
    told: str = ""
    held: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    first: int = 0

    @property
    def received(self) -> int:
        """Samples so far."""
        return self.first + len(self.held)

    def samples(self, begin: int, end: int) -> np.ndarray:
        """Samples `begin` to `end` of the stream."""
        return self.held[begin - self.first : end - self.first]


class StreamingRecogniser:
    """Blocks of any size in, events out; which events does not depend on how the audio is cut into blocks.

    An utterance runs from shortly before speech begins to shortly after it ends, so that its final text is what the
    recogniser gives offline for the audio between the two times.

    Args:
        listener: what understands utterances.
        vad: with its weights loaded.
        rules: when an utterance is over; the longest is at most what the listener takes.

    Raises:
        StentorError: when sample rates or lengths do not fit.
    """

    def __init__(self, listener: Listener, vad: VAD, rules: EndpointSettings | None = None) -> None:
        rules = rules or EndpointSettings(longest=listener.longest)
        check_rates(listener.sample_rate, vad)
        if rules.longest > listener.longest:
            raise StentorError(f"the recogniser takes utterances of at most {listener.longest:g} s.",
                               path="longest", value=rules.longest)  # fmt: skip
        self.listener, self.vad, self.rules = listener, vad, rules

    def start(self) -> Stream:
        """A new stream."""
        return Stream(self.vad.initial_state(1), Endpointer(self.vad.frame_seconds, self.rules))

    def feed(self, stream: Stream, samples: np.ndarray) -> list[Event]:
        """Take the next samples of `stream`, mono float32 [n] in [-1, 1], n any number; give what is new."""
        stream.held = np.concatenate([stream.held, samples])
        probabilities, stream.vad = self.vad.step(samples[None], stream.vad)
        events: list[Event] = []
        for probability in probabilities[0].tolist():
            over = stream.endpointer.step(probability)
            events += self._going_on(stream) if over is None else self._over(stream, over)
        keep = min(stream.endpointer.earliest * self.vad.frame_samples, stream.received)
        if keep > stream.first:
            stream.held, stream.first = stream.held[keep - stream.first :], keep
        return events

    def flush(self, stream: Stream) -> list[Event]:
        """The stream is over; give what is left."""
        last = stream.endpointer.heard == stream.endpointer.at
        over = stream.endpointer.flush()
        return [] if over is None else self._over(stream, over, stream.received if last else None)

    def _going_on(self, stream: Stream) -> list[Event]:
        begin = stream.endpointer.begin
        if begin is None:
            return []
        if stream.hearing is None:
            stream.hearing, stream.told = self.listener.begin(), ""
            stream.start = stream.fed = begin * self.vad.frame_samples
        text = self._feed(stream, stream.endpointer.heard * self.vad.frame_samples)
        if text in ("", stream.told):
            return []
        stream.told = text
        return [Partial(text, self._seconds(stream.start), self._seconds(stream.fed))]

    def _feed(self, stream: Stream, end: int) -> str:
        assert stream.hearing is not None
        samples, stream.fed = stream.samples(stream.fed, end), max(stream.fed, end)
        return stream.hearing.feed(samples)

    def _over(self, stream: Stream, over: Endpoint, end: int | None = None) -> list[Event]:
        begin, end = over.begin * self.vad.frame_samples, end or over.end * self.vad.frame_samples
        times = self._seconds(begin), self._seconds(end)
        if over.reason == "silence":
            return [Final("", *times, over.reason)]
        if stream.hearing is None or end < stream.fed:  # cut before what was heard already: hear it again up to there
            stream.hearing, stream.fed = self.listener.begin(), begin
        self._feed(stream, end)
        heard = [moved(segment, times[0]) for segment in stream.hearing.finish().segments]
        stream.hearing = None
        words = tuple(word for segment in heard for word in segment.words)
        return [Final(" ".join(segment.text for segment in heard), *times, over.reason, words)]

    def _seconds(self, samples: int) -> float:
        return samples / self.vad.sample_rate
