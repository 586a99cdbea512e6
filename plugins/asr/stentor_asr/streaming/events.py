"""What a streaming recogniser tells."""

from __future__ import annotations

from dataclasses import dataclass

from stentor.vad.endpoint import Reason
from stentor_asr.transcribe.recogniser import Word


@dataclass(frozen=True)
class Partial:
    """What was understood so far of an utterance that goes on.

    Attributes:
        text: begins with the text of the partial before it.
        start: of the utterance, in the stream (s).
        end: up to where it was heard (s); never before that of an event before it.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Final:
    """An utterance that is over.

    Attributes:
        text: what the recogniser makes of the audio from `start` to `end`, offline; empty where nothing was understood.
        start: in the stream (s).
        end: in the stream (s).
        reason: the rule that ended it.
        words: with times in the stream, if they were asked for.
    """

    text: str
    start: float
    end: float
    reason: Reason
    words: tuple[Word, ...] = ()


Event = Partial | Final
