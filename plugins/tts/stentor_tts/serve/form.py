"""The fields of a speech request: read, checked, and turned into what is asked of the synthesiser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stentor.serve.refusals import Refusal, unknown_model
from stentor_tts.speaking.formats import FORMATS, rate_for
from stentor_tts.speaking.synthesiser import RATES, SPEEDS, TEMPERATURES

FIELDS = ("model", "input", "voice", "instructions", "response_format", "speed", "stream_format", "seed", "temperature",
          "sample_rate")  # fmt: skip
ANSWERS = ("mp3", "opus", "flac", "wav", "pcm", "ogg")
STREAMS = ("audio", "sse")
PCM_RATE = 24000
"""Of raw samples, as players of OpenAI's interface expect them (Hz)."""
_MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Asked:
    """What a client asks.

    Attributes:
        text: what to say.
        voice: its name.
        style: words.
        form: one of `FORMATS`.
        events: whether the audio comes as server-sent events.
        options: further arguments of `Synthesiser.stream`.
    """

    text: str
    voice: str
    style: str
    form: str
    events: bool
    options: dict[str, Any]


def read(body: bytes, model: str, own_rate: int, longest: int) -> Asked:
    """Read a request.

    Args:
        body: JSON.
        model: the one that is served.
        own_rate: of its audio (Hz).
        longest: characters of a text.

    Raises:
        Refusal: for the first field that is missing, unknown or has no such value.
    """
    given = _object(body)
    for name in given:
        if name not in FIELDS:
            raise Refusal(f"there is no field '{name}'.", path=name, value=name, options=FIELDS,
                          code="unknown_parameter")  # fmt: skip
        if any("\ud800" <= character <= "\udfff" for character in str(given[name])):
            raise Refusal("is not valid Unicode; it has to be UTF-8.", path=name)
    for name in ("model", "input", "voice"):
        if given.get(name) is None:
            raise Refusal(f"'{name}' is missing.", path=name, code="missing_required_parameter")
    if given["model"] != model:
        raise unknown_model(str(given["model"]), [model])
    form = _form(given)
    rate = _number(given, "sample_rate", *RATES, whole=True)
    wanted = PCM_RATE if form == "pcm" and rate is None else rate or own_rate
    return Asked(
        text=_text(given, "input", longest),
        voice=_voice(given["voice"]),
        style=_text(given, "instructions", longest),
        form=form,
        events=_choice(given, "stream_format", STREAMS, "audio") == "sse",
        options={
            "speed": _number(given, "speed", *SPEEDS) or 1.0,
            "seed": _number(given, "seed", 0, _MOST_SEED, whole=True) or 0,
            "temperature": _number(given, "temperature", *TEMPERATURES),
            "sample_rate": rate_for(form, int(wanted)),
        },
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as cause:
        raise Refusal("the request is no JSON; send an object with model, input and voice.") from cause
    if not isinstance(given, dict):
        raise Refusal("the request is no JSON object; send one with model, input and voice.")
    return given


def _form(given: Mapping[str, Any]) -> str:
    if given.get("response_format") == "aac":
        raise Refusal("aac is not made here.", path="response_format", value="aac", options=ANSWERS, suggestion=None)
    form = _choice(given, "response_format", ANSWERS, "mp3")
    assert form in FORMATS
    return form


def _choice(given: Mapping[str, Any], field: str, options: tuple[str, ...], default: str) -> str:
    value = default if given.get(field) is None else given[field]
    if value not in options:
        raise Refusal(f"there is no '{value}'.", path=field, value=str(value), options=options)
    return str(value)


def _text(given: Mapping[str, Any], field: str, longest: int) -> str:
    text = given.get(field) or ""
    if not isinstance(text, str):
        raise Refusal("must be text.", path=field, value=str(text)[:60])
    if len(text) > longest:
        raise Refusal(f"the text has {len(text):,} characters; this server takes up to {longest:,}.", path=field,
                      code="string_above_max_length")  # fmt: skip
    return text


def _voice(given: Any) -> str:
    """A name, or an object with an ``id``."""
    name = given.get("id") if isinstance(given, Mapping) else given
    if not isinstance(name, str):
        raise Refusal("must be a name, or an object with an id.", path="voice", value=str(given)[:60])
    return name


def _number(given: Mapping[str, Any], field: str, low: float, high: float, *, whole: bool = False) -> Any:
    value = given.get(field)
    if value is None:
        return None
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise Refusal(f"must be {kind} from {low:g} to {high:g}.", path=field, value=str(value)[:60])
    return int(value) if whole else float(value)
