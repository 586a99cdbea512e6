"""Voices by one word, as corpora list them: ``name``, ``name:variant``, ``name~0.85``, ``name~whisper``."""

from __future__ import annotations

from functools import cache
from typing import Any

from stentor.errors import StentorError
from stentor.interfaces.voice import Voice
from stentor.plugins import registry

WHISPER = "whisper"


@cache
def voice(name: str) -> Voice:
    """The voice that `name` says, built once per process.

    ``espeak:en-us+f2`` is voice ``espeak`` with ``variant`` ``en-us+f2``, ``espeak:pitch=70,variant=en-gb`` tells any
    options; ``hibari~0.85`` is ``hibari`` with formants and pitch times 0.85 (voice ``warped``); ``hibari~whisper`` is
    ``hibari`` whispering (voice ``whispered``); the last two go together, read from the left.

    Raises:
        StentorError: for an unknown voice or option, or a factor that is no number.
    """
    base, sign, change = name.rpartition("~")
    if "/" in change:  # of a path among the options
        base, sign = name, ""
    if sign and change == WHISPER:
        return registry().build("voice", "whispered", base=base)  # type: ignore[no-any-return]
    if sign:
        return registry().build("voice", "warped", base=base, factor=_factor(name, change))  # type: ignore[no-any-return]
    engine, _, rest = name.partition(":")
    if "=" in rest:
        return _with_options(name)
    options: dict[str, Any] = {"variant": rest} if rest else {}
    return registry().build("voice", engine, **options)  # type: ignore[no-any-return]


def unwhispered(name: str) -> str:
    """The same voice speaking aloud."""
    return name.removesuffix(f"~{WHISPER}")


def whispers(name: str) -> bool:
    """Whether the voice whispers: ``~whisper``, or eSpeak's variants of that name."""
    return name != unwhispered(name) or f"+{WHISPER}" in name


def engine_of(name: str) -> str:
    """The registered voice that a name stands on."""
    return name.partition("~")[0].partition(":")[0]


def _with_options(name: str) -> Voice:
    from stentor.config import words

    return registry().build("voice", **words.component(registry(), "voice", name))  # type: ignore[no-any-return]


def _factor(name: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        told = "what follows '~' is a factor, such as 0.85, or 'whisper'."
        raise StentorError(told, path="voice", value=name) from None
