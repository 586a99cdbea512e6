"""Text as units: the ids of each word, and the tag that it stands under."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stentor.interfaces.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Unit:
    """A word, or a part of the text that its tokenizer treats as one.

    Attributes:
        ids: of its text, the tokenizer's own.
        tag: of the span that it stands in; empty outside of spans.
    """

    ids: tuple[int, ...]
    tag: str = ""


class Spelling:
    """Spells texts word by word, whatever the tokenizer.

    A tokenizer with an id for the space between words (characters, bytes, phonemes) spells a stretch of text as a
    whole, so that it sees each word's neighbours; one without (byte pairs) spells every word by itself.

    Args:
        tokenizer: trained.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.space: int | None = next((i for i in range(tokenizer.size) if tokenizer.decode([i]) == " "), None)

    def units(self, stretches: Iterable[tuple[str, str]]) -> list[Unit]:
        """Units of (text, tag) stretches, in order; words that spell nothing are left out."""
        return [Unit(ids, tag) for text, tag in stretches for ids in self._words(text)]

    def joined(self, units: Sequence[Unit]) -> tuple[list[int], list[int]]:
        """All ids with the space between words, where there is one, and the place of each unit's first id."""
        ids: list[int] = []
        places = []
        for unit in units:
            if ids and self.space is not None:
                ids.append(self.space)
            places.append(len(ids))
            ids += unit.ids
        return ids, places

    def _words(self, text: str) -> list[tuple[int, ...]]:
        if self.space is None:
            words = [self.tokenizer.encode(word) for word in text.split()]
        else:
            words = [[]]
            for i in self.tokenizer.encode(text):
                words.append([]) if i == self.space else words[-1].append(i)
        return [tuple(word) for word in words if word]
