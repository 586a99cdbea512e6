"""What a worker does with a group of takes: speak them, ask the filters in turn, tell what they found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stentor import __version__
from stentor.data import audio
from stentor.data.corpora.speaking import write
from stentor.data.quarantine import reason
from stentor.data.voices.named import unwhispered
from stentor.errors import StentorError
from stentor.interfaces.metric import Recording, Spoken
from stentor.plugins import registry
from stentor_tts.batches import spared
from stentor_tts.corpora.styles_audio import BadSpeech, Plan, describe, plan, speak_all, unit_of
from stentor_tts.engine.interfaces import Filter, Verdict
from stentor_tts.engine.texts import Job

VOICE = "voice"
"""Where a take is lost that its teacher could not say."""
_HELD = 64
"""Takes whose samples are in memory at once."""
_EXAMPLE = "the quick brown fox jumps over the lazy dog"


@dataclass(frozen=True)
class Task:
    """A group of takes with all that making them needs; it travels to other processes and machines.

    Attributes:
        jobs: the takes.
        folder: where audio goes.
        filters: their sections ``{name, ...}`` as JSON.
    """

    jobs: tuple[Job, ...]
    folder: str
    filters: str

    @property
    def key(self) -> str:
        """What the results are known by in the journal: the takes and what judged them."""
        told = [f"{job.id} {job.source}" for job in self.jobs]
        return hashlib.sha256("\n".join([*told, self.filters, __version__]).encode()).hexdigest()[:24]


def carry_out(task: Task) -> list[dict[str, Any]]:
    """Make and judge a group of takes.

    Returns:
        Plain data for every take: ``id``, ``text``, ``source``, ``split``, ``voice``, ``speaker``, ``audio`` (empty
        where nothing was said), ``custom``, ``measures``, and where it was lost ``stage`` (`VOICE`, or the number of
        the filter) and ``reason``.

    Raises:
        StentorError: when the disk cannot take the audio, or a filter lacks something to begin with. On what a filter
            raises of a take, the take is lost.
    """
    rows, alive = [], []
    plans = [_planned(job) for job in task.jobs]
    for job, planned, place in zip(task.jobs, plans, _spoken(plans, task.folder), strict=True):
        told, take = _made(job, planned, place, task.folder)
        rows.append(told)
        alive += [(told, take)] if take else []
    for number, judge in enumerate(filters(task.filters)):
        for (told, _), found in zip(alive, spared(judge.judge, [take for _, take in alive]), strict=True):
            verdict = Verdict(reason(found)) if isinstance(found, Exception) else found
            told["measures"].update(verdict.measures)
            told.update({"stage": number, "reason": verdict.reason} if verdict.reason else {})
        alive = [(told, take) for told, take in alive if "stage" not in told]
    return rows


def _planned(job: Job) -> Plan:
    return plan(job.id, job.split, job.text, job.voice, rate=job.rate, energy=job.energy, unit=unit_of(job.text))


def _made(job: Job, planned: Plan, place: Path | Exception, folder: str) -> tuple[dict[str, Any], Spoken | None]:
    told: dict[str, Any] = {"id": job.id, "text": job.text, "voice": job.voice, "audio": "", "measures": {}}
    told |= {"speaker": unwhispered(job.voice), "split": job.split, "source": job.source, "custom": describe(planned)}
    if isinstance(place, Exception):
        return told | {"stage": VOICE, "reason": str(place) if isinstance(place, BadSpeech) else reason(place)}, None
    take = Spoken(job.id, job.text, told["speaker"], _seconds(place), Recording(str(place)),
                  prompt=example(job.voice, folder), custom=told["custom"])  # fmt: skip
    return told | {"audio": planned.file}, take


@lru_cache(maxsize=256)
def example(voice: str, folder: str) -> Recording | None:
    """A sentence that every voice says, neutral, to know its speaker by; None where what it says cannot be used.

    Raises:
        StentorError: when the voice cannot speak at all.
    """
    (place,) = _spoken([plan("example", "examples", _EXAMPLE, voice)], folder)
    if isinstance(place, Exception) and not isinstance(place, BadSpeech):
        told = f"this voice cannot say a plain sentence: {str(place).rstrip('.')}."
        raise StentorError(told, path="voices", value=voice) from place
    return Recording(str(place)) if isinstance(place, Path) else None


@lru_cache(maxsize=1)
def filters(sections: str) -> list[Filter]:
    """The filters of the sections, with what they judge with, once per process.

    Raises:
        StentorError: where one lacks something, naming what to install.
    """
    found: list[Filter] = [registry().build("filter", **section) for section in json.loads(sections)]
    for judge in found:
        judge.load_pretrained()
    return found


def _spoken(plans: Sequence[Plan], folder: str) -> list[Path | Exception]:
    """The file of each plan, spoken now if it was not before, or why there is none; a voice says its plans together."""
    places: list[Path | Exception] = [Path(folder) / planned.file for planned in plans]
    by_voice: dict[str, list[int]] = {}
    for row, planned in enumerate(plans):
        if not (Path(folder) / planned.file).exists():
            by_voice.setdefault(planned.voice, []).append(row)
    for rows in (some[at : at + _HELD] for some in by_voice.values() for at in range(0, len(some), _HELD)):
        for row, found in zip(rows, speak_all([plans[row] for row in rows]), strict=True):
            if isinstance(found, Exception):
                places[row] = found
            else:
                write(Path(folder) / plans[row].file, found[0])
    return places


def _seconds(place: Path) -> float:
    header = audio.info(place)
    return header.frames / header.sample_rate
