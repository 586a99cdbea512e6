"""One speaker shared by many requests: sentences that wait at the same time are said together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from stentor.data.resample import Samples
from stentor.serve.batching import Abandoned, Batcher
from stentor_tts.speaking.pulling import Put, pulled
from stentor_tts.speaking.speaker import Speaker, Wish
from stentor_tts.text.script import Sentence


class _Piece:
    """A sentence of one request, and whom to give its audio; said again after a failure, it goes on where it was."""

    def __init__(self, sentence: Sentence, wish: Wish, put: Put) -> None:
        self.sentence, self.wish, self._put = sentence, wish, put
        self._given = self._said = 0

    def begin(self) -> None:
        """From the first sample on."""
        self._said = 0

    def take(self, chunk: Samples) -> bool:
        """The next samples [n]; what the request has already is not given again."""
        fresh = chunk[max(0, self._given - self._said) :]
        self._said += len(chunk)
        if not len(fresh):
            return True
        self._given += len(fresh)
        return self._put(fresh)


class SharedSpeaker(Speaker):
    """A speaker as one request sees it: it hands sentences to the batcher that all requests share.

    Args:
        speaker: with its weights loaded; what it declares is declared here.
        batcher: of `batcher_of`.
    """

    def __init__(self, speaker: Speaker, batcher: Batcher) -> None:
        self._speaker, self._batcher, self._abandoned = speaker, batcher, threading.Event()
        self.name, self.sample_rate, self.inventory = speaker.name, speaker.sample_rate, speaker.inventory
        self.abilities = speaker.abilities

    def can_say(self, character: str) -> bool:
        return self._speaker.can_say(character)

    def check(self, sentence: Sentence, wish: Wish) -> None:
        self._speaker.check(sentence, wish)

    def refuse(self, wish: Wish) -> None:
        self._speaker.refuse(wish)

    def say(self, sentence: Sentence, wish: Wish) -> Iterator[Samples]:
        def push(put: Put) -> None:
            (waited,) = self._batcher.submit(self, [_Piece(sentence, wish, self._unless_left(put))], wish.temperature)
            if self._abandoned.is_set():  # it may have become so between the two
                self._batcher.forget(self)
            try:
                waited.result()
            except CancelledError:
                raise Abandoned from None

        if self._abandoned.is_set():
            raise Abandoned
        yield from pulled(push)
        if self._abandoned.is_set():
            raise Abandoned

    def abandon(self) -> None:
        """Nobody waits any more: what is being said ends, what waits is forgotten."""
        self._abandoned.set()
        self._batcher.forget(self)

    def _unless_left(self, put: Put) -> Put:
        return lambda chunk: not self._abandoned.is_set() and put(chunk)


def batcher_of(speaker: Speaker, most: int, gather: float) -> Batcher:
    """A batcher whose thread is the only one that `speaker` speaks in.

    Args:
        speaker: with its weights loaded.
        most: sentences at once.
        gather: how long an idle speaker waits for company (s).
    """

    def say(pieces: list[_Piece], _: Any) -> Sequence[None]:
        for one in pieces:
            one.begin()
        speaker.say_all([one.sentence for one in pieces], [one.wish for one in pieces],
                        lambda row, chunk: pieces[row].take(chunk))  # fmt: skip
        return [None] * len(pieces)

    return Batcher(say, lambda piece: float(len(piece.sentence.text)), most, gather=gather)
