"""Does an item hold what it promises: the header opened, the audio decoded, the declared length compared."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from stentor.data import audio
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected

_LOUDEST = 8.0
"""A float file beyond this peak holds integers that were stored as floats."""
_SILENT = 1e-4
"""-80 dB of full scale; only a file with no signal stays below."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in the audio of an item; `fault` is empty when it can be used."""

    fault: str = ""
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    duration: float = 0.0
    silent: bool = False


def key(item: Item, decode: bool) -> str:
    """Names the audio of an item and the state of its file, so that an examination need not be repeated."""
    if item.audio is None:
        return f"text {item.id}"
    try:
        state = os.stat(item.audio)
        version = f"{state.st_size} {state.st_mtime_ns}"
    except (OSError, ValueError):
        version = "none"
    told = f"{item.audio}\n{version}\n{item.start} {item.duration} {item.channel} {decode}"
    return blake2b(told.encode(errors="replace"), digest_size=12).hexdigest()


def examine(item: Item, decode: bool) -> Examined:
    """Open, and unless told otherwise decode, the audio of an item; of text alone, take the time to say it."""
    if item.audio is None:
        return _text_alone(item)
    if not (math.isfinite(item.start) and math.isfinite(item.duration or 0)) or item.start < 0:
        return Examined(_wrong(item))
    try:
        header = audio.info(item.audio)
        found = audio.scan(item.audio, item.start, item.duration, item.channel) if decode else None
    except StentorError as error:
        return Examined(error.problems[0].message.rstrip("."))
    rate, frames = header.sample_rate, header.frames
    if found and item.duration is None and not item.start:
        frames = found.frames
    available = frames / rate - item.start
    declared = available if item.duration is None else item.duration
    duration = available if abs(declared - available) <= audio.TOLERANCE else declared
    fault = _fault(item, header, found, available) or (duration < audio.MIN_SECONDS and _too_short(duration)) or ""
    return Examined(fault, rate, header.channels, frames, duration, bool(found and found.peak < _SILENT))


def _text_alone(item: Item) -> Examined:
    given = str(item.custom.get("given", ""))
    fault = "" if item.text else "there is neither audio nor text"
    return Examined(fault, duration=Utterance.reading_seconds(given, item.text or ""))


def _too_short(duration: float) -> str:
    return f"it is too short to use: {1000 * duration:.3g} ms"


def _wrong(item: Item) -> str:
    return f"wrong duration: it starts at {item.start:g} s and lasts {item.duration or 0:g} s"


def _fault(item: Item, header: audio.AudioInfo, found: audio.Scan | None, available: float) -> str:
    if not header.complete:
        return f"the file breaks off: its header declares more than the {header.duration:.2f} s in it"
    if found and found.damaged:
        wanted = header.duration - item.start if item.duration is None else item.duration
        read = found.frames / header.sample_rate
        return f"the file breaks off or is damaged: {read:.2f} s can be read, {wanted:.2f} s were expected"
    if item.duration is not None and item.duration <= 0:
        return _wrong(item)
    if available <= 0 or (item.duration or 0) > available + audio.TOLERANCE:
        end = item.start + (item.duration or 0)
        return f"wrong duration: it reaches to {end:.2f} s but the file lasts {available + item.start:.2f} s"
    if found and found.peak > _LOUDEST:
        return f"samples far outside -1 to 1, up to {found.peak:.4g}: integers stored as floats?"
    return ""


def finish(item: Item, found: Examined) -> Utterance | Rejected:
    """The utterance of an examined item, with its text in NFC and its white space in order."""
    fault = found.fault or _fault_of_words(item)
    if fault:
        return Rejected(f"{item.id}: {item.audio}", fault)
    custom: dict[str, Any] = dict(item.custom) | ({"silent": True} if found.silent else {})
    return Utterance(
        id=_tidy(item.id) or "",
        audio="" if item.audio is None else os.path.abspath(item.audio),
        duration=found.duration,
        sample_rate=found.sample_rate,
        start=item.start,
        text=_tidy(item.text),
        speaker=_tidy(item.speaker) or None,
        language=_tidy(item.language) or None,
        frames=found.frames,
        channels=found.channels or 1,
        channel=item.channel if found.channels > 1 else None,
        custom=custom,
    )


def _tidy(text: str | None) -> str | None:
    return None if text is None else " ".join(unicodedata.normalize("NFC", text).split())


def _fault_of_words(item: Item) -> str:
    for name, value in (("id", item.id), ("text", item.text), ("speaker", item.speaker), ("language", item.language)):
        if value is None:
            continue
        if not all(letter.isprintable() or letter.isspace() for letter in value):
            return f"the {name} holds characters that cannot be printed: {value[:40]!r}"
        if name in ("id", "text") and not value.strip():
            return f"the {name} is empty"
    try:
        json.dumps(item.custom, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as cause:
        return f"a custom field is not plain data: {cause}"
    return ""
