"""Words as a tokenizer spells them: which tokens each word of a known text is."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from stentor.errors import StentorError
from stentor.interfaces.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Unit:
    """A word as it is written, marks included, and its tokens from `first` up to but without `last`."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Spelled:
    """The ids of a text, and the units of each of its lines."""

    ids: list[int]
    lines: list[list[Unit]]


class Speller:
    """Spells texts with one tokenizer; marks that it does not know are written but not spelled.

    Args:
        tokenizer: trained.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._known = cache(self._knows)

    def __call__(self, lines: Sequence[str]) -> Spelled:
        """The text in `lines` as ids; a line of marks alone has no units.

        Raises:
            StentorError: when it holds no word, a letter or digit that the tokenizer does not know, or when the
                tokenizer's tokens cannot be told apart by words.
        """
        written = [self._written(unicodedata.normalize("NFC", line)) for line in lines]
        spoken = [said for line in written for _, said in line]
        if not spoken:
            raise StentorError("the text has no word that could be said.")
        ids, counts = self._tokenizer.encode(" ".join(spoken)), self._counts(spoken)
        if sum(counts) != len(ids):
            raise StentorError("the tokenizer's tokens go across words, so that words cannot be timed.")
        left, at, found = iter(counts), 0, []
        for line in written:
            units = []
            for text, _ in line:
                first, at = at, at + next(left)
                units.append(Unit(text, self._spoken_from(ids, first, at), at))
            found.append(units)
        return Spelled(ids, found)

    def _written(self, line: str) -> list[tuple[str, str]]:
        """Each word as written and as said; what is not said is written with the word before it, or else after."""
        found: list[tuple[str, str]] = []
        waiting = ""
        for word in line.split():
            said = "".join(letter for letter in word if self._known(letter))
            lost = sorted({letter for letter in word if letter.isalnum() and not self._known(letter)})
            if lost:
                raise StentorError(f"the tokenizer does not know: {' '.join(lost)} (in '{word[:40]}').")
            if any(letter.isalnum() for letter in said):
                found.append((waiting + word, said))
                waiting = ""
            elif found:
                found[-1] = (f"{found[-1][0]} {word}", found[-1][1])
            else:
                waiting += f"{word} "
        return found

    def _knows(self, letter: str) -> bool:
        return self._tokenizer.decode(self._tokenizer.encode(letter)).strip().casefold() == letter.casefold()

    def _counts(self, words: Sequence[str]) -> list[int]:
        """How many tokens each word adds to the one before it."""
        alone = [len(self._tokenizer.encode(word)) for word in words]
        pairs = zip(words, words[1:], alone, strict=False)
        return [*alone[:1], *(len(self._tokenizer.encode(f"{left} {right}")) - size for left, right, size in pairs)]

    def _spoken_from(self, ids: Sequence[int], first: int, last: int) -> int:
        """The first token that is more than a space."""
        while last - first > 1 and not self._tokenizer.decode([ids[first]]).strip():
            first += 1
        return first
