"""Whose voice the output has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from stentor.data import manifest
from stentor.errors import StentorError
from stentor.interfaces.metric import AudioMetric, Counts, Recording, Spoken
from stentor_tts.measures import speaker
from stentor_tts.mel import SAMPLE_RATE

_NONE: Counts = (0.0, 0.0)


class SpeakerSimilarity(AudioMetric):
    """Cosine of the speaker embeddings of the output and of the row's prompt, or of its own audio where it has none.

    Embeddings are Resemblyzer's (`stentor_tts.measures.speaker`); the value is the mean over rows.
    """

    lower_is_better, unit = False, ""

    def load_pretrained(self) -> dict[str, str]:
        return speaker.encoder().load_pretrained()

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        targets = [row.prompt or row.reference for row in rows]
        return [
            _cosine(embedding_of(row.output), embedding_of(target)) if target else _NONE
            for row, target in zip(tqdm(rows, "speaker", disable=not rows), targets, strict=True)
        ]


class NearestVoice(AudioMetric):
    """Share of outputs that sound nearer to their own voice than to every other one, in per cent.

    A voice is the mean embedding (Resemblyzer's) of its clips. The voice that a row should have is that of all prompts
    and own audio in the set with the row's speaker; the others are those of the set and those of `voices`.

    Args:
        voices: manifest with the voices to be told apart from, e.g. those of training; empty: those of the set alone.
        clips: of each voice in that manifest.
    """

    lower_is_better = False

    def __init__(self, *, voices: str = "", clips: int = 8) -> None:
        if clips < 1:
            raise StentorError("a voice needs one clip at least.", path="metric.clips", value=clips)
        self.voices, self.clips = voices, clips
        self._others: dict[str, Tensor] | None = None

    def load_pretrained(self) -> dict[str, str]:
        return speaker.encoder().load_pretrained()

    def unspoken(self, text: str) -> Counts:
        return (0.0, 1.0)

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        own = _own_voices(rows)
        known = {**self._training(), **own} if rows else {}
        return [self._one(row, known) if row.speaker in own else _NONE for row in rows]

    def _one(self, row: Spoken, known: Mapping[str, Tensor]) -> Counts:
        others = [name for name in known if name != row.speaker]
        if not others:
            return _NONE
        said = embedding_of(row.output)
        near = {name: float(said @ voice) for name, voice in known.items()}
        closest = max(near, key=near.__getitem__)
        row.notes["nearest_voice"] = {"voice": closest, "own": near[row.speaker], "next": max(map(near.get, others))}  # type: ignore[type-var]
        return float(closest == row.speaker), 1.0

    def _training(self) -> dict[str, Tensor]:
        if self._others is None:
            self._others = _manifest_voices(self.voices, self.clips) if self.voices else {}
        return self._others


def embedding_of(recording: Recording) -> Tensor:
    """Speaker embedding [256] of a recording."""
    return speaker.encoder().embed([torch.from_numpy(recording.read(SAMPLE_RATE))])[0]


def _own_voices(rows: Sequence[Spoken]) -> dict[str, Tensor]:
    clips: dict[str, dict[Recording, None]] = {}
    for row in rows:
        for recording in (row.prompt, row.reference):
            if recording and row.speaker:
                clips.setdefault(row.speaker, {})[recording] = None
    return {name: _mean(list(found)) for name, found in clips.items()}


def _manifest_voices(path: str, clips: int) -> dict[str, Tensor]:
    found: dict[str, list[Recording]] = {}
    for row in manifest.load(path):
        if row.audio and row.speaker and len(found.setdefault(row.speaker, [])) < clips:
            found[row.speaker].append(Recording(row.audio, row.start, row.duration, row.channel))
    if not found:
        raise StentorError("no row tells its speaker: there are no voices to compare with.", path=path)
    return {name: _mean(recordings) for name, recordings in found.items()}


def _mean(recordings: Sequence[Recording]) -> Tensor:
    return functional.normalize(torch.stack([embedding_of(one) for one in recordings]).mean(0), dim=0)


def _cosine(first: Tensor, second: Tensor) -> Counts:
    return float(first @ second), 1.0
