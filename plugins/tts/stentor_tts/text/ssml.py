"""A subset of SSML 1.1 (W3C Recommendation of 2010): speak, p, s, break, prosody, emphasis, sub."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from stentor.errors import StentorError
from stentor_tts import levels
from stentor_tts.text.script import PLAIN, Break, Manner, Script, Stretch

ELEMENTS = ("speak", "p", "s", "break", "prosody", "emphasis", "sub")


def _words(least: str, less: str, more: str, most: str, numbers: Mapping[int, float]) -> dict[str, float]:
    """SSML's words for five levels."""
    return {least: numbers[-2], less: numbers[-1], "medium": numbers[0], "default": numbers[0], more: numbers[1],
            most: numbers[2]}  # fmt: skip


RATES = _words("x-slow", "slow", "fast", "x-fast", levels.RATES)
PITCHES = _words("x-low", "low", "high", "x-high", levels.PITCHES)
VOLUMES = {"silent": -60.0, **_words("x-soft", "soft", "loud", "x-loud", levels.GAINS)}
STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.35, "strong": 0.7, "x-strong": 1.2}
EMPHASES = {
    "strong": Manner(rate=levels.RATES[-1], volume=levels.GAINS[1]),
    "moderate": Manner(rate=0.92, volume=3.0),
    "none": PLAIN,
    "reduced": Manner(rate=1.1, volume=-3.0),
}
LONGEST_BREAK = 10.0
"""(s)"""
_DEEPEST = 32
_TIME = re.compile(r"\+?(\d+(?:\.\d+)?|\.\d+)(ms|s)")
_NUMBER = re.compile(r"([+-]?)(\d+(?:\.\d+)?|\.\d+)(%|st|dB)?")
_TAKEN = {"prosody": {"rate", "pitch", "volume"}, "break": {"time", "strength"}, "emphasis": {"level"},
          "sub": {"alias"}}  # fmt: skip


def is_ssml(text: str) -> bool:
    """Whether a text says of itself that it is SSML."""
    return text.lstrip().startswith(("<speak", "<?xml"))


def parse(text: str) -> Script:
    """Stretches and breaks of an SSML document. Document types, entities of one's own and other elements are refused.

    Raises:
        StentorError: when it is not well-formed, or asks for what is not in the subset.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.ProcessingInstructionHandler = _refuse_instruction
    try:
        parser.Parse(text.strip(), True)
    except expat.ExpatError as cause:
        reason = expat.errors.messages[cause.code]
        raise StentorError(f"the SSML is not well-formed: {reason} in line {cause.lineno}, column {cause.offset + 1}.",
                           path="text") from cause  # fmt: skip
    return tuple(reader.script)


class _Reader:
    """Collects the script while the parser goes through the document."""

    def __init__(self) -> None:
        self.script: list[Stretch | Break] = []
        self._manners: list[Manner] = [PLAIN]
        self._replaced = 0

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        element = name.rpartition(" ")[2]
        if element not in ELEMENTS:
            raise StentorError(f"SSML's <{element}> is not supported.", path="text", value=element, options=ELEMENTS)
        if (len(self._manners) == 1) != (element == "speak"):
            raise StentorError("an SSML document is one <speak> element with all others inside.", path="text")
        if len(self._manners) > _DEEPEST:
            raise StentorError(f"the SSML is nested more than {_DEEPEST} deep.", path="text")
        _check_attributes(element, attributes)
        self._replaced += bool(self._replaced)
        self._open(element, attributes)

    def _open(self, element: str, attributes: Mapping[str, str]) -> None:
        outer = inner = self._manners[-1]
        if element in ("p", "s"):
            self._end_of_sentence(paragraph=element == "p")
        elif element == "break":
            self._say(Break(_break(attributes)))
        elif element == "prosody":
            inner = _prosody(attributes).within(outer)
        elif element == "emphasis":
            inner = _choice("level", attributes.get("level", "moderate"), EMPHASES).within(outer)
        elif element == "sub":
            self._say(Stretch(_needed("sub", "alias", attributes), outer))
            self._replaced = 1
        self._manners.append(inner)

    def end(self, name: str) -> None:
        element = name.rpartition(" ")[2]
        self._manners.pop()
        self._replaced -= bool(self._replaced)
        if element in ("p", "s"):
            self._end_of_sentence(paragraph=element == "p")

    def text(self, content: str) -> None:
        self._say(Stretch(re.sub(r"\s+", " ", content), self._manners[-1]))

    def _say(self, item: Stretch | Break) -> None:
        if not self._replaced:
            self.script.append(item)

    def _end_of_sentence(self, *, paragraph: bool) -> None:
        """One break where several elements begin or end at the same place."""
        while self.script and isinstance(item := self.script[-1], Stretch) and not item.text.strip():
            self.script.pop()
        if not self.script:
            return
        last = self.script[-1]
        if isinstance(last, Stretch):
            self.script.append(Break(None, paragraph))
        elif paragraph and last.seconds is None:
            self.script[-1] = Break(None, paragraph=True)


def _check_attributes(element: str, attributes: Mapping[str, str]) -> None:
    plain = {name for name in attributes if " " not in name}  # of another name space, such as xml:lang
    for name in plain - _TAKEN.get(element, {"version", "lang", "schemaLocation"}):
        raise StentorError(f"SSML's <{element}> takes no {name} here.", path="text", value=name,
                           options=sorted(_TAKEN.get(element, ())))  # fmt: skip


def _break(attributes: Mapping[str, str]) -> float:
    if "time" not in attributes:
        return float(_choice("strength", attributes.get("strength", "medium"), STRENGTHS))
    found = _TIME.fullmatch(attributes["time"].strip())
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
    if not 0 <= seconds <= LONGEST_BREAK:
        told = f"SSML's break time is written like 500ms or 1.5s, up to {LONGEST_BREAK:g}s."
        raise StentorError(told, path="text", value=attributes["time"])
    return seconds


def _prosody(attributes: Mapping[str, str]) -> Manner:
    rate, pitch, volume = (attributes.get(name, "default").strip() for name in ("rate", "pitch", "volume"))
    return Manner(
        _rate(rate) if rate not in RATES else RATES[rate],
        _pitch(pitch) if pitch not in PITCHES else PITCHES[pitch],
        _volume(volume) if volume not in VOLUMES else VOLUMES[volume],
    )


def _rate(written: str) -> float:
    """ "120%", "+20%", "1.2"."""
    sign, number, unit = _parts("rate", written, RATES, ("%", None), "120%")
    share = number / 100 if unit else number
    return _within("rate", written, 1 + share if sign == "+" else 1 - share if sign == "-" else share, 0.25, 4.0)


def _pitch(written: str) -> float:
    """ "+2st", "-10%"."""
    sign, number, unit = _parts("pitch", written, PITCHES, ("%", "st"), "+2st")
    if not sign:
        raise StentorError("SSML's pitch is told relative to the voice, like +2st or -10%.", path="text", value=written)
    signed = number if sign == "+" else -number
    if unit == "%":
        signed = 12 * math.log2(_within("pitch", written, 1 + signed / 100, 0.5, 2.0))
    return _within("pitch", written, signed, -12.0, 12.0)


def _volume(written: str) -> float:
    """ "+6dB"."""
    sign, number, _ = _parts("volume", written, VOLUMES, ("dB",), "+6dB")
    return _within("volume", written, -number if sign == "-" else number, -60.0, 20.0)


def _parts(
    name: str, written: str, words: Mapping[str, float], units: tuple[str | None, ...], such: str
) -> tuple[str, float, str | None]:
    found = _NUMBER.fullmatch(written)
    if found is None or found[3] not in units:
        raise StentorError(f"SSML's {name} is a word or a number like {such}.", path="text", value=written,
                           options=list(words))  # fmt: skip
    return found[1], float(found[2]), found[3]


def _within(name: str, written: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise StentorError(f"SSML's {name} is out of range: from {least:g} to {most:g} is possible.", path="text",
                           value=written)  # fmt: skip
    return value


def _choice(name: str, written: str, table: Mapping[str, Any]) -> Any:
    if written not in table:
        raise StentorError(f"SSML knows no {name} '{written}'.", path="text", value=written, options=list(table))
    return table[written]


def _needed(element: str, name: str, attributes: Mapping[str, str]) -> str:
    if not attributes.get(name, "").strip():
        raise StentorError(f"SSML's <{element}> needs {name}.", path="text")
    return attributes[name]


def _refuse_doctype(*_: Any) -> None:
    raise StentorError(
        "SSML with a document type or entities of its own is refused; leave <!DOCTYPE> out.", path="text"
    )


def _refuse_instruction(*_: Any) -> None:
    raise StentorError("SSML with processing instructions is refused.", path="text")
