"""Audio and spectrogram of an utterance as data to put into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import soundfile

from stentor.data import audio
from stentor.errors import StentorError
from stentor.report import spectrogram

_HIGHEST_RATE = 16_000
_LONGEST = 30.0


@dataclass
class Budget:
    """How much audio a page may still hold (bytes before base64)."""

    left: int = 4_000_000


@dataclass(frozen=True)
class Clip:
    """What a page shows of one utterance's audio; ``reason`` says why there is none.

    Attributes:
        sound: data URI of a FLAC file.
        image: data URI of the spectrogram's PNG.
        seconds: length of both (s).
        top: highest frequency of the spectrogram (Hz).
        reason: why there is none.
    """

    sound: str = ""
    image: str = ""
    seconds: float = 0.0
    top: float = 0.0
    reason: str = ""


def clip(row: Mapping[str, Any], budget: Budget) -> Clip:
    """The clip of an evaluated utterance, at most 30 s of it, within what is left of the budget."""
    seconds = min(float(row["duration"]), _LONGEST)
    try:
        rate = min(_HIGHEST_RATE, audio.info(row["audio"]).sample_rate)
        samples = audio.read(row["audio"], rate, float(row.get("start", 0.0)), seconds)
    except StentorError as error:
        return Clip(reason=str(error))
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format="FLAC", subtype="PCM_16")
    image = spectrogram.png(samples, rate)
    size = memory.tell() + len(image)
    if size > budget.left:
        return Clip(reason="left out to keep the page small")
    budget.left -= size
    return Clip(_uri("audio/flac", memory.getvalue()), _uri("image/png", image), len(samples) / rate, rate / 2)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
