"""One recogniser shared by many requests: what each of them hears is batched with what the others hear."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import get_type_hints

import numpy as np

from stentor.errors import StentorError
from stentor.serve.batching import Abandoned, Batcher
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request


class SharedRecogniser(Recogniser):
    """A recogniser as one request sees it: it hands windows to the batcher that all requests share, and waits.

    A pipeline takes it like any other recogniser, so that what is served is what the pipeline gives alone.

    Args:
        recogniser: with its weights loaded; what it declares is declared here.
        batcher: works with `hear(recogniser)`.
    """

    def __init__(self, recogniser: Recogniser, batcher: Batcher) -> None:
        self._recogniser, self._batcher, self._abandoned = recogniser, batcher, False
        for name in get_type_hints(Recogniser):
            if hasattr(recogniser, name):
                setattr(self, name, getattr(recogniser, name))

    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        if self._abandoned:
            raise Abandoned
        waited = self._batcher.submit(self, windows, request)
        if self._abandoned:  # it may have become so between the two
            self._batcher.forget(self)
        try:
            return [future.result() for future in waited]
        except CancelledError:
            raise Abandoned from None

    def refuse(self, request: Request) -> None:
        self._recogniser.refuse(request)

    def abandon(self) -> None:
        """Take what waits out of the queue; the request's next look at it ends in `Abandoned`."""
        self._abandoned = True
        self._batcher.forget(self)


def batcher_of(recogniser: Recogniser, most: int, seconds: float, gather: float) -> Batcher:
    """A batcher whose thread is the only one that `recogniser` hears in.

    Args:
        recogniser: with its weights loaded.
        most: windows in a batch.
        seconds: of audio in a batch, padding included (s).
        gather: how long an idle recogniser waits for company (s).
    """

    def hear(windows: list[np.ndarray], request: Request) -> list[Heard]:
        heard = recogniser.recognise(windows, request)
        if len(heard) != len(windows):
            raise StentorError(f"the recogniser gave {len(heard)} answers to {len(windows)} windows.")
        return heard

    return Batcher(hear, len, most, seconds * recogniser.sample_rate, gather)
