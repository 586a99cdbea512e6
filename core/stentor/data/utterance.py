"""The light row of a manifest, which loader and sampler work on: no lhotse objects where lengths suffice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of audio and what is known of it.

    Attributes:
        id: unique in its manifest.
        audio: absolute path of the audio file, as text; empty for text alone.
        duration: length of the stretch (s); of text alone, the time it takes to say (`reading_seconds`).
        sample_rate: of the file (Hz); 0 for text alone.
        start: offset of the stretch into the file (s).
        text: transcript in Unicode NFC; None when there is none, "" when nothing is said.
        speaker: speaker or voice, if known.
        language: BCP-47 tag, if known.
        frames: length of the whole file (samples per channel).
        channels: how many channels the file has.
        channel: the one channel to read; None reads the average of all.
        custom: further typed fields: style, events, alignments, preference pairs.
    """

    id: str
    audio: str
    duration: float
    sample_rate: int
    start: float = 0.0
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    frames: int = 0
    channels: int = 1
    channel: int | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def reading_seconds(*texts: str) -> float:
        """How long saying `texts` takes (s), at 15 characters a second."""
        return max(1, sum(map(len, texts))) / 15

    @property
    def end(self) -> float:
        """Where the stretch ends in the file (s)."""
        return self.start + self.duration
