"""Audio files of any length to transcripts, in batches of windows across files, in bounded memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.vad import VAD
from stentor_asr.align.words import fit
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment
from stentor_asr.transcribe.seams import settled, stitched
from stentor_asr.transcribe.windows import Window, cut, cut_speech, is_silent

_SHORTEST = 0.02
_BATCHES = 4  # held at a time, so that windows of like length can be found


@dataclass
class Transcript:
    """What was said in one file.

    Attributes:
        path: the file.
        duration: audio that was read (s).
        segments: in order of time, not overlapping.
        language: where the recogniser tells.
        warnings: what may be wrong with the transcript.
        failure: why the file could not be read (to its end); None when all is well.
    """

    path: Path
    duration: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    language: str | None = None
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None

    @property
    def text(self) -> str:
        """All segments in one line."""
        return " ".join(segment.text for segment in self.segments)


@dataclass
class _Job:
    transcript: Transcript
    waiting: int = 0
    read: bool = False
    heard: list[tuple[float, Heard]] = field(default_factory=list)
    seam: list[Segment] = field(default_factory=list)

    def add(self, window: Window, heard: Heard) -> Iterator[Segment]:
        """Take what was heard in the next window; give the segments that no later window can change."""
        self.waiting -= 1
        found = [moved(one, window.start) for one in heard.segments]
        if window.overlap:
            found = stitched(self.seam, found, window.start, window.start + window.overlap)
        sure = settled(found) if window.goes_on else len(found)
        final, self.seam = found[:sure], found[sure:]
        self.heard.append((window.start, replace(heard, segments=tuple(final))))
        yield from final

    def finish(self) -> Transcript:
        transcript = self.transcript
        found: list[Segment] = []
        for start, heard in sorted(self.heard, key=lambda pair: pair[0]):
            found += heard.segments
            transcript.warnings += [f"at {start:.1f} s: {warning}" for warning in heard.warnings]
            transcript.language = transcript.language or heard.language
        transcript.segments = in_order([*found, *self.seam])
        if transcript.failure is None and not transcript.segments:
            transcript.warnings.append("no speech was found")
        return transcript


@dataclass
class _Pending:
    """Windows that are to be heard, with what `transcribe` was told of how to hear them."""

    recogniser: Recogniser
    batch: int
    request: Request
    advance: Callable[[float], None]
    told: Callable[[Transcript, Segment], None]
    windows: list[tuple[_Job, Window]] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether there are enough to find windows of like length among them; alone, a window waits for no like."""
        return len(self.windows) >= (self.batch * _BATCHES if self.batch > 1 else 1)

    def add(self, job: _Job, window: Window) -> None:
        """Take a window of `job`; a silent one is dealt with, unless a seam with another one needs it."""
        if is_silent(window.samples, self.recogniser.sample_rate) and not (window.goes_on or window.overlap):
            self.advance(len(window.samples) / self.recogniser.sample_rate)
            return
        job.waiting += 1
        self.windows.append((job, window))

    def hear(self) -> None:
        """Recognise in batches of windows of like length, and take the results in the windows' own order."""
        found: dict[int, Heard] = {}
        by_length = sorted(range(len(self.windows)), key=lambda index: len(self.windows[index][1].samples))
        for first in range(0, len(by_length), self.batch):
            places = by_length[first : first + self.batch]
            samples = [self.windows[place][1].samples for place in places]
            found |= zip(places, self.recogniser.recognise(samples, self.request), strict=True)
            self.advance(sum(map(len, samples)) / self.recogniser.sample_rate)
        for place, (job, window) in enumerate(self.windows):
            for segment in job.add(window, found[place]):
                self.told(job.transcript, segment)
        self.windows.clear()


def transcribe(
    paths: Iterable[Path],
    recogniser: Recogniser,
    batch: int = 8,
    advance: Callable[[float], None] = lambda _: None,
    request: Request = PLAIN,
    *,
    told: Callable[[Transcript, Segment], None] = lambda *_: None,
    vad: VAD | None = None,
) -> Iterator[Transcript]:
    """Transcribe files, each given out as soon as it and all before it are done.

    Args:
        paths: audio files.
        recogniser: with its weights loaded.
        batch: how many windows are recognised together; they are of like length and may come from several files.
        advance: told how many seconds of audio have been dealt with.
        request: what is asked of the recogniser.
        told: told every segment of a transcript in order, as soon as its text is final.
        vad: with its weights loaded; windows are the stretches of speech that it finds. None: all is heard, cut at
            quiet points.

    Raises:
        StentorError: when the request asks what the recogniser cannot do.
    """
    recogniser.refuse(request)
    if vad is not None:
        check_rates(recogniser.sample_rate, vad)
    jobs: deque[_Job] = deque()
    pending = _Pending(recogniser, batch, request, advance, told)
    for path in paths:
        jobs.append(_Job(Transcript(path)))
        for window in _windows(jobs[-1], recogniser, vad):
            pending.add(jobs[-1], window)
            if pending.full:
                pending.hear()
                yield from _finished(jobs)
        yield from _finished(jobs)
    pending.hear()
    yield from _finished(jobs)


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """Segments by their beginning, moved where need be so that none begins before the one before has ended.

    Words are moved with their segments, and stay inside them.
    """
    ordered: list[Segment] = []
    for segment in sorted(segments, key=lambda one: one.start):
        start = max(segment.start, ordered[-1].end if ordered else 0.0)
        end = max(segment.end, start + _SHORTEST)
        ordered.append(replace(segment, start=start, end=end, words=fit(segment.words, start, end)))
    return ordered


def moved(segment: Segment, seconds: float) -> Segment:
    """The segment and its words, later by `seconds`."""
    words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words)
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)


def check_rates(sample_rate: int, vad: VAD) -> None:
    """Refuse a detector that hears at another sample rate than a recogniser, `sample_rate` (Hz)."""
    if vad.sample_rate != sample_rate:
        raise StentorError(f"the voice activity detector hears at {vad.sample_rate} Hz, the recogniser at "
                           f"{sample_rate} Hz.", path="vad")  # fmt: skip


def _windows(job: _Job, recogniser: Recogniser, vad: VAD | None) -> Iterator[Window]:
    transcript, rate, longest = job.transcript, recogniser.sample_rate, recogniser.window_seconds
    try:
        blocks = _blocks(transcript, rate, longest)
        yield from (
            cut(blocks, rate, longest)
            if vad is None
            else cut_speech(blocks, rate, longest, vad, recogniser.join_pauses)
        )
    except StentorError as error:
        transcript.failure = error.problems[0].message
    job.read = True


def _blocks(transcript: Transcript, rate: int, seconds: float) -> Iterator[np.ndarray]:
    """Blocks of the file; what the reader warns of goes to the transcript."""
    blocks = audio.blocks(transcript.path, seconds, rate)
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", audio.DamagedAudio)
            block = next(blocks, None)
        transcript.warnings += [str(warning.message) for warning in caught]
        if block is None:
            return
        transcript.duration += len(block) / rate
        yield block


def _finished(jobs: deque[_Job]) -> Iterator[Transcript]:
    while jobs and jobs[0].read and not jobs[0].waiting:
        yield jobs.popleft().finish()
