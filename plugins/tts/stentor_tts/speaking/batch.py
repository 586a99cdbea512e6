"""Many texts to a folder of audio with a manifest; what has been said is never said again, bad rows are put aside."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stentor.data import audio, jsonl, manifest, quarantine
from stentor.data.atomic import writing
from stentor.data.resample import Samples
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_tts.speaking.reference import VoiceSample
from stentor_tts.speaking.rows import Row
from stentor_tts.speaking.synthesiser import Speech, Synthesiser

MANIFEST, JOURNAL, QUARANTINE = "spoken.jsonl.gz", "spoken.partial.jsonl", "quarantine.jsonl"
_CHARACTERS = 10_000
"""Of the texts of a group: about a quarter of an hour of audio."""
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
        rows: from `stentor_tts.speaking.rows.rows`; as many are said together as the speaker likes best.
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
        for group in _groups(rows, synthesiser.speaker.together):
            for made in _made(group, synthesiser, usual, folder, known):
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


def _groups(rows: Iterable[Row | Rejected], most: int) -> Iterator[list[Row | Rejected]]:
    """Rows in order, so many at once; fewer where texts are long, as all audio of a group is in memory."""
    group, characters = list[Row | Rejected](), 0
    for row in rows:
        group.append(row)
        characters += len(row.text) if isinstance(row, Row) else 0
        if len(group) == most or characters >= _CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


@dataclass(frozen=True)
class _Asked:
    """A row that is to be said: how, by which key it will be known, and what says it."""

    row: Row
    key: str
    who: str
    style: Any
    seed: int
    speech: Speech


def _made(
    group: Sequence[Row | Rejected],
    synthesiser: Synthesiser,
    usual: Usual,
    folder: Path,
    known: Mapping[str, Utterance],
) -> Iterator[tuple[str, Utterance] | Rejected]:
    """What becomes of each row, in order; those that are to be said are said together."""
    asked = [row if isinstance(row, Rejected) else _asked(row, synthesiser, usual, known) for row in group]
    said = iter(synthesiser.speak_all([one.speech for one in asked if isinstance(one, _Asked)]))
    for one in asked:
        if not isinstance(one, _Asked):
            yield one
            continue
        samples = next(said)
        if isinstance(samples, Exception):
            yield Rejected(one.row.where, quarantine.reason(samples))
        else:
            yield one.key, _written(one, samples, synthesiser.speaker.name, folder)


def _asked(
    row: Row, synthesiser: Synthesiser, usual: Usual, known: Mapping[str, Utterance]
) -> _Asked | tuple[str, Utterance] | Rejected:
    try:
        named = row.voice or usual.voice
        voice = synthesiser.speaker.find(named) if named else None
        style, seed = row.style or usual.style, usual.seed if row.seed is None else row.seed
        key = _key(row, style, seed, voice, usual)
        there = known.get(key)
        if there is not None and Path(there.audio).is_file():
            return key, there
        who = voice.name if isinstance(voice, VoiceSample) else voice or synthesiser.speaker.name
        speech = synthesiser.stream(row.text, voice=voice, style=style, seed=seed, **usual.options)
        return _Asked(row, key, who, style, seed, speech)
    except Exception as cause:  # a speaker is arbitrary code, and the other rows can be said all the same
        return Rejected(row.where, quarantine.reason(cause))


def _written(asked: _Asked, samples: Samples, engine: str, folder: Path) -> Utterance:
    row, rate = asked.row, asked.speech.sample_rate
    name = f"{_ODD.sub('-', row.id)[:80].lstrip('.-') or 'text'}-{asked.key[:8]}.flac"
    place = folder.absolute() / "audio" / name
    audio.write(place, samples, rate)
    custom = {"synthetic": True, "engine": engine, "style": asked.style, "seed": asked.seed}
    custom |= {"left_out": asked.speech.told} if asked.speech.told else {}
    return Utterance(row.id, str(place), len(samples) / rate, rate, text=row.text, speaker=asked.who,
                     frames=len(samples), custom=custom)  # fmt: skip


def _key(row: Row, style: Any, seed: int, voice: VoiceSample | str | None, usual: Usual) -> str:
    """What decides the samples of a row."""
    whom = voice.digest if isinstance(voice, VoiceSample) else voice
    told = [row.id, row.text, style, seed, whom, usual.options, usual.who]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
