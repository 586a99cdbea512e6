"""The interface of recognisers: windows of audio to segments of text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from stentor.errors import StentorError
from stentor.interfaces.component import Component
from stentor_asr.transcribe.windows import cut, is_silent


@dataclass(frozen=True)
class Word:
    """One word of a segment: `start` and `end` (s), `text`, and its probability in (0, 1] where it is known."""

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of speech.

    Attributes:
        start: (s).
        end: (s), after `start`.
        text: what was said.
        confidence: geometric mean of the tokens' probabilities, in (0, 1], where the recogniser knows it.
        words: its words with their times, if the request asked for them.
    """

    start: float
    end: float
    text: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Request:
    """What one transcription asks for; a server gets one with every upload.

    Attributes:
        language: code of what is spoken, e.g. ``en``; None lets the recogniser find out, or keep to its own.
        words: whether every segment shall have its words with times.
        beam: width of the search; None is the recogniser's own (greedy for most).
        hotwords: phrases to listen for, each with its boost: what is added to the log-probability of a path (natural
            logarithm) for every such phrase in it.
    """

    language: str | None = None
    words: bool = False
    beam: int | None = None
    hotwords: Mapping[str, float] = field(default_factory=dict)

    @property
    def asked(self) -> frozenset[str]:
        """The names of what it asks beyond a plain transcript."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) != _plain(field))


def _plain(field: Field[Any]) -> Any:
    return {} if field.name == "hotwords" else field.default


@dataclass(frozen=True)
class Heard:
    """What was heard in one window: segments with times from the window's beginning, and what to warn of."""

    segments: tuple[Segment, ...] = ()
    language: str | None = None
    warnings: tuple[str, ...] = ()


PLAIN = Request()


class Recogniser(Component, ABC):
    """Speech to text, window by window. `load_pretrained` reads the weights; until then it cannot `recognise`.

    Attributes:
        sample_rate: of the windows (Hz).
        window_seconds: the longest window it takes (s).
        join_pauses: stretches of speech with pauses of at most this (s) between them are heard in one window where a
            detector cuts; more than 0 for one whose windows all cost the same.
        abilities: which fields of a `Request` it can honour; the rest it refuses (`refuse`).
    """

    contract: ClassVar[str] = "stentor_asr.testing:RecogniserContract"
    sample_rate: int
    window_seconds: float = 30.0
    join_pauses: float = 0.0
    abilities: frozenset[str] = frozenset()

    @abstractmethod
    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        """Transcribe a batch; every window is heard on its own, so that a batch gives what its windows give alone.

        Args:
            windows: mono float32 [N] in [-1, 1] each, of any length up to `window_seconds`.
            request: what is asked of it, of its `abilities`.
        """

    def refuse(self, request: Request) -> None:
        """Raise a `StentorError` that names what `request` asks and this recogniser cannot do."""
        lacking = sorted(request.asked - self.abilities)
        if lacking:
            offered = sorted(self.abilities) or ["nothing beyond plain transcripts"]
            raise StentorError(f"this recogniser cannot do: {', '.join(lacking)}; it offers {', '.join(offered)}.",
                               path="request")  # fmt: skip

    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """One text per row of a batch with ``audio`` [B, N] and ``audio_lengths`` [B]; silence has none."""
        lengths = [int(length) for length in batch["audio_lengths"]]
        rows = [np.asarray(row[:length], np.float32) for row, length in zip(batch["audio"], lengths, strict=True)]
        pieces = [
            (index, window.samples)
            for index, row in enumerate(rows)
            for window in cut([row], self.sample_rate, self.window_seconds)
            if not is_silent(window.samples, self.sample_rate)
        ]
        texts: list[list[str]] = [[] for _ in rows]
        for (index, _), heard in zip(pieces, self.recognise([samples for _, samples in pieces]), strict=True):
            texts[index].extend(segment.text for segment in heard.segments)
        return [" ".join(text) for text in texts]
