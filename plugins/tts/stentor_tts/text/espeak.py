"""Words to phonemes by eSpeak NG's rules and dictionaries, through the library that `espeakng-loader` carries."""

from __future__ import annotations

import ctypes
import re
import shutil
import sys
import tempfile
import threading
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from stentor.errors import StentorError
from stentor.extras import require

Notation = Literal["ipa", "espeak"]
Follower = Literal["pause", "vowel", "consonant"]
"""What comes after a word: it decides about weak forms ("a", "to", "the")."""
_SYNCHRONOUS, _UTF8, _DONT_EXIT = 2, 1, 0x8000
_SEPARATOR = "_"
_MODES: dict[Notation, int] = {"ipa": 0x02 | ord(_SEPARATOR) << 8, "espeak": ord(_SEPARATOR) << 8}
_CARRIERS: dict[Follower, str] = {"pause": "", "vowel": " end", "consonant": " day"}
_LONGEST = 24  # letters; the library says no more than about 39 of a word that it spells out
_SWITCH = re.compile(r"\([a-z-]+\)")
_LOCK = threading.Lock()


def need() -> None:
    """Raise `StentorError` that names the extra when the library is not installed."""
    require("espeakng_loader", "voices")


@lru_cache(maxsize=65536)
def word(text: str, language: str, notation: Notation, follower: Follower) -> tuple[tuple[str, ...], ...]:
    """Phonemes of one word: one tuple for each word that is said, such as three for "1.5".

    Args:
        text: one word, without spaces.
        language: voice of eSpeak NG, e.g. ``en-us``.
        notation: ``ipa``, or ``espeak`` for its mnemonics in ASCII.
        follower: what comes after it; matters in English alone.

    Raises:
        StentorError: when the language is unknown or the library is missing.
    """
    carrier = _CARRIERS[follower] if language.startswith("en") else ""
    with _LOCK:
        library = _library()
        _choose(library, language)
        said: list[tuple[str, ...]] = []
        pieces = [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]
        for piece in pieces:
            said += _spoken(library, piece + carrier, notation)[: -1 if carrier else None]
    return tuple(said)


def _spoken(library: ctypes.CDLL, text: str, notation: Notation) -> list[tuple[str, ...]]:
    buffer = ctypes.create_string_buffer(text.encode())
    place = ctypes.c_void_p(ctypes.addressof(buffer))
    clauses = []
    while place.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _MODES[notation]).decode())
    words = _SWITCH.sub(_SEPARATOR, " ".join(clauses)).split()
    units = [tuple(unit for unit in word.split(_SEPARATOR) if unit.strip(":;")) for word in words]
    return [found for found in units if found]


def _choose(library: ctypes.CDLL, language: str) -> None:
    if library.espeak_SetVoiceByName(language.encode()) != 0:
        raise StentorError("eSpeak NG has no such language; try 'en-us', 'en-gb' or 'de'.",
                           path="language", value=language)  # fmt: skip


@cache
def _library() -> ctypes.CDLL:
    # A copy, because the voice `espeak` starts from a library that it has loaded anew; one that is held here under the
    # same path would keep it from that.
    loader = require("espeakng_loader", "voices")
    source = Path(loader.get_library_path())
    with tempfile.TemporaryDirectory(prefix="stentor-", ignore_cleanup_errors=sys.platform == "win32") as folder:
        library = ctypes.CDLL(shutil.copy(source, folder))
    if library.espeak_Initialize(_SYNCHRONOUS, 0, loader.get_data_path().encode(), _DONT_EXIT) < 0:
        raise StentorError("eSpeak NG does not start: its data are damaged.", path=loader.get_data_path(),
                           suggestion="Mend it with: pip install --force-reinstall espeakng-loader")  # fmt: skip
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library
