"""The pool as the miner sees it: where the audio lies, and nothing that anybody knows about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected

Report = Callable[[list[Rejected]], None]


@dataclass(frozen=True, slots=True)
class Clip:
    """One stretch of unlabelled audio. It has no place for a transcript, a speaker or the corpus's own fields.

    Attributes:
        id: unique in the pool.
        audio: absolute path of the file.
        duration: of the stretch (s).
        sample_rate: of the file (Hz).
        start: offset into the file (s).
        frames: length of the whole file (samples per channel).
        channels: how many channels the file has.
        channel: the one channel to read; None reads the average of all.
    """

    id: str
    audio: str
    duration: float
    sample_rate: int
    start: float = 0.0
    frames: int = 0
    channels: int = 1
    channel: int | None = None

    def utterance(self) -> Utterance:
        """The row that it came from, less all that was told about it."""
        return Utterance(self.id, self.audio, self.duration, self.sample_rate, self.start, frames=self.frames,
                         channels=self.channels, channel=self.channel)  # fmt: skip


def stripped(utterance: Utterance) -> Clip:
    """What of a manifest's row the miner may see."""
    return Clip(utterance.id, utterance.audio, utterance.duration, utterance.sample_rate, utterance.start,
                utterance.frames, utterance.channels, utterance.channel)  # fmt: skip


def read(path: str | Path, report: Report) -> list[Clip]:
    """The clips of a manifest, without its transcripts; bad rows go to `report`.

    Raises:
        StentorError: when the manifest cannot be opened or has no good row.
    """
    bad: list[Rejected] = []
    clips: list[Clip] = []
    for row in manifest.rows(path):
        if isinstance(row, Utterance):
            clips.append(stripped(row))
        else:
            bad.append(row)
    if bad:
        report(bad)
    if not clips:
        reason = f"; the first, {bad[0].where}: {bad[0].reason}" if bad else ""
        raise StentorError(f"the pool has no usable row{reason}.", path=str(path))
    return clips


def hours(clips: Iterable[Clip]) -> float:
    """Their audio together (h)."""
    return sum(clip.duration for clip in clips) / 3600
