"""Many texts to a folder of audio with a manifest; what has been said is never said again, bad rows are put aside."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stentor.data import audio, jsonl, manifest, quarantine
from stentor.data.atomic import writing
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_tts.speaking.reference import VoiceSample
from stentor_tts.speaking.rows import Row
from stentor_tts.speaking.synthesiser import Synthesiser

MANIFEST, JOURNAL, QUARANTINE = "spoken.jsonl.gz", "spoken.partial.jsonl", "quarantine.jsonl"
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Usual:
    """What holds for rows that say nothing else, and for all of them.

    Attributes:
        voice: path of a reference, the name of a voice, or empty.
        style: words.
        seed: of what is drawn.
        options: further arguments of `Synthesiser.stream`: speed, temperature, sample_rate.
        who: what tells one speaker from another: its name and where its weights are from.
    """

    voice: str
    style: str
    seed: int
    options: dict[str, Any]
    who: dict[str, str]


def speak_all(
    rows: Iterator[Row | Rejected],
    synthesiser: Synthesiser,
    usual: Usual,
    folder: Path,
    *,
    advance: Callable[[], object] = lambda: None,
) -> tuple[list[Utterance], list[Rejected]]:
    """Say every row into ``folder/audio`` and write the manifest and the quarantine.

    Args:
        rows: from `stentor_tts.speaking.rows.rows`.
        synthesiser: who says them.
        usual: of all rows.
        folder: of the output.
        advance: called after each row.

    Returns:
        What was said, and what was put aside.

    Raises:
        StentorError: when what holds for all rows cannot be, the disk cannot take it, or no row could be said. Whatever
            else goes wrong with a row puts that row aside.
    """
    synthesiser.wish(voice=usual.voice or None, style=usual.style, seed=usual.seed, **usual.options)
    with writing(folder):
        (folder / "audio").mkdir(parents=True, exist_ok=True)
    known, spoken, bad = _journal(folder / JOURNAL), [], []
    with writing(folder / JOURNAL), open(folder / JOURNAL, "a", encoding="utf-8") as journal:
        for row in rows:
            made = row if isinstance(row, Rejected) else _made(row, synthesiser, usual, folder, known)
            if isinstance(made, Rejected):
                bad.append(made)
            else:
                key, utterance = made
                spoken.append(utterance)
                if key not in known:
                    journal.write(f"{json.dumps([key, asdict(utterance)], ensure_ascii=False)}\n")
                    journal.flush()
            advance()
    quarantine.write(folder / QUARANTINE, bad)
    if not spoken:
        first = f" The first reason: {bad[0].reason}" if bad else ""
        raise StentorError(f"none of the {len(bad)} rows could be said.{first}", path=str(folder))
    manifest.save(folder / MANIFEST, spoken)
    return spoken, bad


def _journal(path: Path) -> dict[str, Utterance]:
    """What an earlier run of the same command has said, by key; a torn last line is forgotten."""
    known: dict[str, Utterance] = {}
    for _, line in jsonl.lines(path) if path.is_file() else ():
        try:
            key, told = jsonl.decoded(line)
            known[key] = Utterance(**told)
        except (jsonl.BadRow, TypeError, ValueError):
            continue
    return known


def _made(
    row: Row, synthesiser: Synthesiser, usual: Usual, folder: Path, known: dict[str, Utterance]
) -> tuple[str, Utterance] | Rejected:
    try:
        named = row.voice or usual.voice
        voice = synthesiser.speaker.find(named) if named else None
        style, seed = row.style or usual.style, usual.seed if row.seed is None else row.seed
        key = _key(row, style, seed, voice, usual)
        there = known.get(key)
        if there is not None and Path(there.audio).is_file():
            return key, there
        speech = synthesiser.stream(row.text, voice=voice, style=style, seed=seed, **usual.options).read()
        samples = np.concatenate([*speech, np.zeros(0, np.float32)])
    except Exception as cause:  # a speaker is arbitrary code, and the other rows can be said all the same
        return Rejected(row.where, quarantine.reason(cause))
    place = folder.absolute() / "audio" / f"{_ODD.sub('-', row.id)[:80].lstrip('.-') or 'text'}-{key[:8]}.flac"
    audio.write(place, samples, speech.sample_rate)
    custom = {"synthetic": True, "engine": synthesiser.speaker.name, "style": style, "seed": seed}
    custom |= {"left_out": speech.told} if speech.told else {}
    seconds = len(samples) / speech.sample_rate
    who = voice.name if isinstance(voice, VoiceSample) else voice or synthesiser.speaker.name
    return key, Utterance(row.id, str(place), seconds, speech.sample_rate, text=row.text, speaker=who,
                          frames=len(samples), custom=custom)  # fmt: skip


def _key(row: Row, style: Any, seed: int, voice: VoiceSample | str | None, usual: Usual) -> str:
    """What decides the samples of a row."""
    whom = voice.digest if isinstance(voice, VoiceSample) else voice
    told = [row.id, row.text, style, seed, whom, usual.options, usual.who]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
