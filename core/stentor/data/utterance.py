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
        audio: absolute path of the audio file, as text.
        duration: length of the stretch (s).
        sample_rate: of the file (Hz).
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

    @property
    def end(self) -> float:
        """Where the stretch ends in the file (s)."""
        return self.start + self.duration
