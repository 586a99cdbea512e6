"""The tokenizer `phonemes`: what is said, by eSpeak NG, instead of how it is written."""
# ruff: noqa: RUF001 - phonetic letters are what this is about

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from stentor.interfaces.tokenizer import TextTokenizer
from stentor_tts.text import espeak
from stentor_tts.text.espeak import Follower, Notation

MARKS = ",.!?;:"
"""Punctuation that is heard as a pause or a tune."""
_PARTS = re.compile(
    r"""(?P<mark>[,.!?;:]) | (?P<word>(?: [^\s,.!?;:"()\[\]{}] | (?<=\d)[,:](?=\d) | (?<=\w)\.(?=\w) )+)""", re.VERBOSE
)
_DASHES = str.maketrans({"…": ".", "—": ",", "–": ",", "’": "'", "\u2018": "'"})
_STRESS: dict[Notation, dict[str, str]] = {"ipa": {"ˈ": "ˈ", "ˌ": "ˌ"}, "espeak": {"'": '"', ",": "%"}}
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class Phonemes(TextTokenizer):
    """One id per phoneme, stress mark, word boundary and pause mark that training texts need; id 0 is unknown.

    Grapheme to phoneme is eSpeak NG's (extra ``voices``), word by word, with the weak forms of English words chosen by
    what comes next; words are kept, so that a text costs little more than looking them up. Text is given as it is
    written or as it is spoken; numbers are read out. `decode` gives the phoneme string, with spaces between words.

    Args:
        language: voice of eSpeak NG, e.g. ``en-us``, ``en-gb``, ``de``.
        notation: ``ipa``, or ``espeak`` for its mnemonics in ASCII, with stress as X-SAMPA writes it (``"`` and ``%``).
        stress: keep the marks of primary and secondary stress, each as an id of its own.

    Raises:
        StentorError: when the library is not installed; when text comes, for a language that it does not have.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"sounds"})

    def __init__(self, *, language: str = "en-us", notation: Notation = "ipa", stress: bool = True) -> None:
        espeak.need()
        self.language, self.notation, self.stress = language, notation, stress
        self._units: list[str] = []
        self._ids: dict[str, int] = {}

    @property
    def size(self) -> int:
        return len(self._units) + 1

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(unit, 0) for unit in self.units(text)]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self._units[i - 1] if i > 0 else _UNKNOWN for i in ids)

    def train(self, texts: Iterable[str]) -> None:
        self.load_state({"units": sorted(set().union(*(self.units(text) for text in texts)))})

    def state(self) -> Mapping[str, Any]:
        return {"units": self._units}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._units = list(state["units"])
        self._ids = {unit: i for i, unit in enumerate(self._units, 1)}

    def units(self, text: str) -> list[str]:
        """Phonemes, stress marks, spaces between words and pause marks of `text`, in order."""
        units: list[str] = []
        for part, follower in _with_followers(list(_parts(text))):
            if part in MARKS:
                units += [part] if units and units[-1] not in MARKS else []
                continue
            for said in espeak.word(part, self.language, self.notation, follower) or ((_UNKNOWN,),):
                units += [" "] * bool(units)
                units += [one for unit in said for one in self._split(unit)]
        return units

    def _split(self, unit: str) -> list[str]:
        """A phoneme without its stress mark, and the mark before it."""
        marks = _STRESS[self.notation]
        bare = unit.lstrip("".join(marks))
        stressed = [marks[mark] for mark in unit[: len(unit) - len(bare)]] if self.stress else []
        return [*stressed, *([bare] if bare else [])]


def _parts(text: str) -> Iterator[str]:
    """Words and pause marks; quotes, brackets and what cannot be printed only separate."""
    plain = unicodedata.normalize("NFC", text).translate(_DASHES)
    printable = "".join(character if character.isprintable() else " " for character in plain)
    for found in _PARTS.finditer(printable):
        yield found[0]


def _with_followers(parts: Sequence[str]) -> Iterator[tuple[str, Follower]]:
    for part, following in zip(parts, [*parts[1:], "."], strict=False):
        if following in MARKS:
            yield part, "pause"
        else:
            yield part, "vowel" if following[0].casefold() in "aeiou" else "consonant"
