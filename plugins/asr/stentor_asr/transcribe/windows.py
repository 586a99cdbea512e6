"""Cuts audio of any length into windows: at quiet points, or into stretches of speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from stentor.interfaces.vad import VAD
from stentor.vad.endpoint import Endpoint, Endpointer, EndpointSettings

SILENCE_DB = -60.0
"""A window whose loudest 20 ms are below this level (dB of full scale) is silent."""
_FRAME_SECONDS = 0.02
_SMOOTHING_FRAMES = 10
OVERLAP = 2.0
"""How much of a window that ends inside speech is heard again in the next (s)."""


@dataclass(frozen=True)
class Window:
    """A stretch of audio.

    Attributes:
        start: in the file (s).
        samples: mono float32 [N].
        overlap: its beginning that the window before holds too (s).
        goes_on: whether the next window overlaps it.
    """

    start: float
    samples: np.ndarray
    overlap: float = 0.0
    goes_on: bool = False


def cut(blocks: Iterable[np.ndarray], sample_rate: int, longest: float) -> Iterator[Window]:
    """Join blocks and cut them into windows of at most `longest` seconds.

    A cut lies in the last third of a full window, in the middle of the quietest 0.2 s there, so that it does not split
    a word. At most one window and one block are held.

    Args:
        blocks: mono float32 [N] each, in order.
        sample_rate: (Hz).
        longest: (s).
    """
    most, start = round(longest * sample_rate), 0
    held = np.zeros(0, dtype=np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > most:
            at = _quietest(held[:most], sample_rate)
            yield Window(start / sample_rate, held[:at])
            held, start = held[at:], start + at
    if len(held):
        yield Window(start / sample_rate, held)


def cut_speech(
    blocks: Iterable[np.ndarray], sample_rate: int, longest: float, vad: VAD, join: float = 0.0
) -> Iterator[Window]:
    """Join blocks and cut them into the stretches of speech that `vad` finds, of at most `longest` seconds.

    Where a stretch has to be cut inside speech, the next window repeats the last two seconds, so that the word at the
    seam is whole in one of the two. At most one window and one block are held.

    Args:
        blocks: mono float32 [N] each, in order.
        sample_rate: (Hz), the detector's own.
        longest: (s).
        vad: with its weights loaded.
        join: stretches with a pause of at most this (s) between them share a window where they fit.
    """
    overlap = min(OVERLAP, longest / 4)
    endpointer = Endpointer(vad.frame_seconds, EndpointSettings(longest=longest - overlap))
    state, cutter = vad.initial_state(1), _Cutter(vad.frame_samples, sample_rate, round(overlap * sample_rate))
    most = int((longest - overlap) / vad.frame_seconds) - 1  # the end of a file adds a part of a frame
    joiner = _Joiner(most, int(join / vad.frame_seconds))
    for block in blocks:
        cutter.hold(block)
        probabilities, state = vad.step(block[None], state)
        for probability in probabilities[0].tolist():
            over = endpointer.step(probability)
            for ready in joiner.ready(over, endpointer.earliest):
                yield cutter.window(ready)
        cutter.forget(min(endpointer.earliest, joiner.earliest(endpointer.earliest)))
    over = endpointer.flush()
    for ready in [*joiner.ready(over, endpointer.at), *joiner.rest()]:
        yield cutter.window(ready, last=ready.end == endpointer.at and ready.reason == "end")


class _Joiner:
    """Joins end points whose stretches lie close together.

    Args:
        longest: (frames).
        pause: (frames).
    """

    def __init__(self, longest: int, pause: int) -> None:
        self._longest, self._pause = longest, pause
        self._held: Endpoint | None = None

    def ready(self, over: Endpoint | None, earliest: int) -> Iterator[Endpoint]:
        """Take the next end point, if there is one; give those to which nothing can be joined any more."""
        held = self._held
        if held is not None and over is not None and self._fits(held, over):
            self._held = held = replace(over, begin=held.begin)
        elif over is not None:
            yield from self.rest()
            self._held = held = over
        if held is not None and (held.reason != "pause" or earliest - held.end > self._pause):
            yield from self.rest()

    def rest(self) -> Iterator[Endpoint]:
        """Give what is held."""
        if self._held is not None:
            yield self._held
        self._held = None

    def earliest(self, frame: int) -> int:
        """The frame at which what is held begins, or else `frame`."""
        return frame if self._held is None else self._held.begin

    def _fits(self, held: Endpoint, over: Endpoint) -> bool:
        return over.begin - held.end <= self._pause and over.end - held.begin <= self._longest


class _Cutter:
    """Holds the samples that windows to come may need.

    Args:
        frame: samples in a frame of the detector.
        rate: (Hz).
        overlap: of windows that follow one another inside speech (samples).
    """

    def __init__(self, frame: int, rate: int, overlap: int) -> None:
        self.frame, self.rate, self.overlap = frame, rate, overlap
        self._held, self._start, self._repeat = np.zeros(0, np.float32), 0, 0

    def hold(self, block: np.ndarray) -> None:
        self._held = np.concatenate([self._held, block])

    def window(self, over: Endpoint, last: bool = False) -> Window:
        """The window of an end point; `last`: what follows the last whole frame belongs to it."""
        begin, end = over.begin * self.frame - self._repeat, over.end * self.frame
        goes_on = over.reason == "length"
        samples = self._held[begin - self._start : None if last else end - self._start]
        repeated, self._repeat = self._repeat, min(self.overlap, end - begin) if goes_on else 0
        return Window(begin / self.rate, samples, repeated / self.rate, goes_on)

    def forget(self, frame: int) -> None:
        """Drop what lies before `frame` and is not to be repeated."""
        keep = max(self._start, frame * self.frame - self.overlap)
        self._held, self._start = self._held[keep - self._start :], keep


def is_silent(samples: np.ndarray, sample_rate: int) -> bool:
    """Whether even the loudest 20 ms are below `SILENCE_DB`."""
    loudest = float(np.sqrt(_powers(samples, sample_rate).max(initial=0.0)))
    return loudest < 10 ** (SILENCE_DB / 20)


def _powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms [ceil(N / frame)]; the last one may be shorter."""
    edges = np.arange(0, len(samples), round(_FRAME_SECONDS * sample_rate))
    squares = np.square(samples, dtype=np.float64)
    return np.add.reduceat(squares, edges) / np.diff(edges, append=len(samples)) if len(edges) else np.zeros(0)


def _quietest(samples: np.ndarray, sample_rate: int) -> int:
    frame, powers = round(_FRAME_SECONDS * sample_rate), _powers(samples, sample_rate)
    smooth = np.convolve(powers, np.full(_SMOOTHING_FRAMES, 1 / _SMOOTHING_FRAMES), mode="valid")
    first = 2 * len(smooth) // 3
    quietest = first + int(np.argmin(smooth[first:]))
    return min(len(samples), (quietest + _SMOOTHING_FRAMES // 2) * frame)
