"""Listens to clips: bag and quality of each, in batches of like length; what cannot be read is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_asr.mining import bags, quality
from stentor_asr.mining.bags import Bag
from stentor_asr.mining.pool import Clip, Report
from stentor_asr.mining.quality import Quality

if TYPE_CHECKING:
    from stentor.interfaces.task import Task

LONGEST = 30.0
"""Longer clips are not listened to: they would have to be cut before anybody writes them down (s)."""
_BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class Heard:
    """A clip, what the recogniser heard in it, and how good its audio is."""

    clip: Clip
    bag: Bag
    quality: Quality


def heard(task: Task, clips: Sequence[Clip], report: Report) -> Iterator[Heard]:
    """Listen to every clip, longest first.

    Args:
        task: a recogniser in evaluation mode.
        clips: what to listen to.
        report: gets those that cannot be read or are too long, with the reason.
    """
    for group in _groups(clips):
        good, waves = [], []
        for clip in group:
            try:
                waves.append(wave(clip, task.sample_rate))
                good.append(clip)
            except StentorError as error:
                report([Rejected(clip.id, error.problems[0].message)])
        if good:
            found = bags.listen(task, good, waves)
            for clip, bag, samples in zip(good, found, waves, strict=True):
                yield Heard(clip, bag, quality.measure(samples.numpy(), task.sample_rate))


def wave(clip: Clip, sample_rate: int) -> Tensor:
    """Waveform float32 [N] of a clip at `sample_rate` Hz.

    Raises:
        StentorError: when it cannot be read, or is too long.
    """
    if clip.duration > LONGEST:
        raise StentorError(f"it lasts {clip.duration:.1f} s; clips of at most {LONGEST:g} s are mined.", path=clip.id)
    return torch.from_numpy(audio.read(clip.audio, sample_rate, clip.start, clip.duration, clip.channel))


def _groups(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in sorted(clips, key=lambda one: (-one.duration, one.id)):
        if group and (len(group) + 1) * group[0].duration > _BATCH_SECONDS:
            yield group
            group = []
        group.append(clip)
    if group:
        yield group
