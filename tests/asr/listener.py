"""A recogniser that is quick and tells what it was given: how long each window is and how loud."""

import threading

import numpy as np

from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment, Word

RATE = 8000


class Listener(Recogniser):
    """``<n>ms at <level>`` for every window; what it hears can be held back, and it fails on a level of 99.

    After `pause_after` batches it waits until `free` is set again.
    """

    sample_rate, window_seconds = RATE, 1.0
    abilities = frozenset({"language", "words", "hotwords", "beam"})

    def __init__(self):
        self.free, self.begun = threading.Event(), threading.Event()
        self.free.set()
        self.batches, self.levels, self.requests, self.threads = [], [], [], set()
        self.pause_after = 0

    def recognise(self, windows, request: Request = PLAIN):
        self.refuse(request)
        self.begun.set()
        assert self.free.wait(30)
        self.batches.append([len(window) for window in windows])
        self.requests.append(request)
        self.threads.add(threading.get_ident())
        if len(self.batches) == self.pause_after:
            self.free.clear()
        return [self._hear(window, request) for window in windows]

    def _hear(self, window, request):
        level, end = round(100 * float(np.abs(window).max())), len(window) / RATE
        self.levels.append(level)
        if level == 99:
            raise RuntimeError("a fuse has blown")
        told = [f"{round(1000 * end)}ms", "at", str(level)]
        edges = np.linspace(0.0, end, 4)
        words = tuple(Word(a, b, text, 0.5) for a, b, text in zip(edges, edges[1:], told, strict=False))
        return Heard((Segment(0.0, end, " ".join(told), 0.5, words if request.words else ()),), request.language)


def tone(seconds, level):
    """A tone that peaks at `level` percent."""
    times = np.arange(round(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * 200 * times + np.pi / 2)
    return (level / 100 * wave).astype(np.float32)
