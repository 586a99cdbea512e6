"""What the corpus `styles` says: sentences, short stretches of them, and stretches with tags."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from stentor.data.corpora.commands_text import Grammar, Sentences, read_grammar

_WEAK = frozenset({"a", "an", "and", "at", "by", "for", "from", "i", "in", "into", "is", "it", "me", "my", "of", "on",
                   "or", "over", "she", "still", "that", "the", "their", "they", "this", "toward", "under", "was",
                   "what", "when", "which", "with"})  # fmt: skip
"""Words that lean on the next one: no stretch ends with one of them."""
_LONGEST_SPAN = 3


@cache
def open_grammar() -> Grammar:
    """The grammar of the splits of open vocabulary, in ``open.txt`` beside this module."""
    return read_grammar(files(__package__).joinpath("open.txt").read_text("utf-8"))


class ShortTexts:
    """Single words and stretches of two or three words out of training sentences.

    Args:
        seed: of the stream.
    """

    def __init__(self, seed: int) -> None:
        self._sentences, self._rng = Sentences("train", seed), random.Random(f"short {seed}")

    def draw(self) -> str:
        """The next one: one, two or three words with equal chances."""
        words = self._sentences.draw().split()
        places = [(first, first + count) for count in (self._rng.randint(1, 3),)
                  for first in range(len(words) - count + 1)]  # fmt: skip
        sound = [place for place in places if words[place[1] - 1] not in _WEAK] or places
        first, last = self._rng.choice(sound)
        return " ".join(words[first:last])


def tagged(text: str, tags: Sequence[str], rng: random.Random) -> list[tuple[str, str]]:
    """Cut a sentence into stretches, one of them for each tag, in the order of the sentence.

    Args:
        text: words with spaces between them.
        tags: of the stretches, in order; fewer are used where the sentence is too short for all.
        rng: decides where.

    Returns:
        (words, tag) of every stretch; the tag is empty outside.
    """
    words = text.split()
    places = [0, *(i for i in range(1, len(words)) if words[i - 1] not in _WEAK), len(words)]
    found: list[tuple[str, str]] = []
    start = 0
    for left, tag in zip(range(len(tags), 0, -1), tags, strict=True):
        room = [place for place in places if start <= place <= len(words) * (len(tags) - left + 1) // len(tags)]
        spans = [(a, b) for a in room for b in room if 0 < b - a <= _LONGEST_SPAN and b - a < len(words)]
        if not spans:
            continue
        first, last = rng.choice(spans)
        found += [(" ".join(words[start:first]), "")] * (first > start) + [(" ".join(words[first:last]), tag)]
        start = last
    return found + [(" ".join(words[start:]), "")] * (start < len(words))


def marked(stretches: Sequence[tuple[str, str]]) -> str:
    """The text with its tags: ``turn on [slow]the radio[/slow]``."""
    return " ".join(f"[{tag}]{text}[/{tag}]" if tag else text for text, tag in stretches)
