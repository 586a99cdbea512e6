"""The fields of a transcription request: read, checked, and turned into what is asked of the recogniser."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stentor.errors import StentorError
from stentor.serve.refusals import Refusal, unknown_model
from stentor_asr.transcribe import hotwords
from stentor_asr.transcribe.hotwords import BOOST
from stentor_asr.transcribe.recogniser import Request

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")
STREAMED = ("json", "text")
"""Formats that can be asked for together with ``stream``."""
FIELDS = ("file", "model", "language", "response_format", "timestamp_granularities", "temperature", "prompt", "stream",
          "hotwords", "keywords", "beam")  # fmt: skip
_LISTS = ("timestamp_granularities", "hotwords", "keywords")
_TRUE, _FALSE = ("true", "1"), ("false", "0", "")
_WIDEST = 100
_MOST_HOTWORDS, _LONGEST_HOTWORD, _HIGHEST_BOOST = 200, 100, 100.0


@dataclass(frozen=True)
class Asked:
    """What a client asks.

    Attributes:
        request: of the recogniser.
        form: one of `FORMATS`.
        granularities: what a ``verbose_json`` answer shall have times for.
        stream: whether the text shall come as events while it is found.
    """

    request: Request
    form: str = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    stream: bool = False


def read(fields: Iterable[tuple[str, str]], model: str) -> Asked:
    """Read a form.

    ``prompt`` and a ``temperature`` other than 0 are accepted and have no effect: text is found by search, not sampled,
    and nothing is carried over from a prompt; ``hotwords`` say what to listen for.

    Args:
        fields: names and values, without the file; lists have names that end with ``[]``.
        model: the one that is served.

    Raises:
        Refusal: for the first field that is unknown or has no such value.
    """
    given = _grouped(fields)
    if "model" in given and _one(given, "model") != model:
        raise unknown_model(_one(given, "model"), [model])
    form = _choice(given, "response_format", FORMATS, "json")
    wanted = frozenset(_listed(given, "timestamp_granularities"))
    for granularity in sorted(wanted - set(GRANULARITIES)):
        raise Refusal(f"there are no timestamps for '{granularity}'.", path="timestamp_granularities",
                      value=granularity, options=GRANULARITIES)  # fmt: skip
    if wanted and form != "verbose_json":
        raise Refusal("timestamps are in answers of response_format verbose_json.", path="timestamp_granularities")
    _number(given, "temperature", 0.0, 1.0)
    stream = _choice(given, "stream", (*_TRUE, *_FALSE), "false") in _TRUE
    if stream and form not in STREAMED:
        raise Refusal(f"a stream of events has no response_format '{form}'.", path="response_format", value=form,
                      options=STREAMED)  # fmt: skip
    beam = _number(given, "beam", 1, _WIDEST)
    if beam is not None and beam != int(beam):
        raise Refusal("must be a whole number.", path="beam", value=beam)
    request = Request(
        language=_one(given, "language").strip().lower() or None,
        words="word" in wanted,
        beam=None if beam is None else int(beam),
        hotwords=_hotwords(given),
    )
    return Asked(request, form, wanted or frozenset({"segment"}), stream)


_Given = dict[str, dict[str, list[str]]]


def _grouped(fields: Iterable[tuple[str, str]]) -> _Given:
    """Field -> key in brackets (mostly none) -> values."""
    given: _Given = {}
    for name, value in fields:
        found = re.fullmatch(r"(\w+)(?:\[([^\]]*)\])?", name)
        field, key = (found[1], found[2] or "") if found else (name, "")
        if field not in FIELDS:
            raise Refusal(f"there is no field '{field}'.", path=field, value=field, options=FIELDS,
                          code="unknown_parameter")  # fmt: skip
        given.setdefault(field, {}).setdefault(key, []).append(value)
    for field, values in given.items():
        if field in _LISTS:
            continue
        if set(values) != {""}:
            raise Refusal("takes one value, and nothing in brackets.", path=field)
        if len(values[""]) > 1:
            raise Refusal("is given more than once.", path=field)
    return given


def _one(given: _Given, field: str) -> str:
    return given.get(field, {}).get("", [""])[0]


def _listed(given: _Given, field: str) -> list[str]:
    """The values of ``field[]``, or of ``field[0]``, ``field[1]`` and so on."""
    return [value for values in given.get(field, {}).values() for value in values]


def _choice(given: _Given, field: str, options: tuple[str, ...], default: str) -> str:
    value = _one(given, field).lower() or default
    if value not in options:
        raise Refusal(f"there is no '{value}'.", path=field, value=value, options=[one for one in options if one])
    return value


def _number(given: _Given, field: str, low: float, high: float) -> float | None:
    if not (text := _one(given, field)):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise Refusal(f"must be a number from {low:g} to {high:g}.", path=field, value=text)
    return value


def _hotwords(given: _Given) -> Mapping[str, float]:
    """Phrases and their boosts: ``hotwords[phrase]=boost``, ``hotwords[]=phrase``, a JSON object, or
    ``phrase, phrase:boost``; and OpenAI's ``keywords[]``."""
    found = {word: BOOST for word in _listed(given, "keywords") if word.strip()}
    for key, values in given.get("hotwords", {}).items():
        for value in values:
            found |= {key: _number_of(value)} if key else _phrases(value)
    tidy = {" ".join(word.split()): boost for word, boost in found.items()}
    if len(tidy) > _MOST_HOTWORDS or any(not 0 < len(word) <= _LONGEST_HOTWORD for word in tidy):
        raise Refusal(f"at most {_MOST_HOTWORDS} phrases of 1 to {_LONGEST_HOTWORD} letters each are taken.",
                      path="hotwords")  # fmt: skip
    if any(not abs(boost) <= _HIGHEST_BOOST for boost in tidy.values()):
        raise Refusal(f"a boost is a number of at most {_HIGHEST_BOOST:g}, e.g. 'hotwords=stentor:2.5'.",
                      path="hotwords")  # fmt: skip
    return tidy


def _phrases(text: str) -> dict[str, float]:
    try:
        if text.lstrip().startswith("{"):
            return {str(word): _number_of(boost) for word, boost in json.loads(text).items()}
        return dict(hotwords.phrase(part) for part in re.split(r"[,\n]", text) if part.strip())
    except ValueError as cause:
        raise Refusal(f"is no JSON object ({cause}).", path="hotwords") from cause
    except StentorError as error:
        raise Refusal.of(error, param="hotwords") from error


def _number_of(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan
