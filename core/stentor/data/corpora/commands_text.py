"""The sentences of the corpus `commands`: a small grammar about a home, a car, music and a calendar."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from stentor.errors import StentorError

Part = Literal["train", "valid", "heldout"]
_ATTEMPTS, _FRESH, _CANDIDATES = 1000, 20, 6
_SLOT = re.compile(r"\[(\w+)\]")
_PARTS: tuple[Part, ...] = ("heldout", "heldout", "valid", *("train",) * 9)  # type: ignore[assignment]


@dataclass(frozen=True)
class Grammar:
    """Slots (name -> options) and sentence patterns with ``[slot]`` in them."""

    slots: dict[str, tuple[str, ...]]
    patterns: tuple[str, ...]

    def words(self) -> set[str]:
        """Every word that a sentence can have."""
        texts = [*self.patterns, *(option for options in self.slots.values() for option in options)]
        return {word for text in texts for word in _SLOT.sub("", text).split()}


@cache
def grammar() -> Grammar:
    """The grammar in ``commands.txt``, beside this module."""
    return read_grammar(files(__package__).joinpath("commands.txt").read_text("utf-8"))


def read_grammar(text: str) -> Grammar:
    """A grammar as ``commands.txt`` writes one: slots ``name: a | b``, patterns ``= ...``, comments ``# ...``."""
    slots, patterns = {}, []
    for line in text.splitlines():
        if line.startswith("= "):
            patterns.append(line[2:].strip())
        elif line and not line.startswith("#"):
            name, _, options = line.partition(":")
            slots[name] = tuple(option.strip() for option in options.split("|"))
    return Grammar(slots, tuple(patterns))


def part_of(sentence: str) -> Part:
    """Whose sentence it is, by its hash: training and held-out sentences are disjoint whatever the seed and size."""
    return _PARTS[int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:4]) % len(_PARTS)]


class Sentences:
    """A seeded stream of the sentences of one part, in which rare words come up about as often as the others.

    Args:
        part: held-out and validation sentences never repeat; training sentences may.
        seed: of the stream.
        source: whose sentences; the corpus `commands`'s own by default.
    """

    def __init__(self, part: Part, seed: int, source: Grammar | None = None) -> None:
        self._part, self._grammar = part, source or grammar()
        self._rng = random.Random(f"{part} {seed}")
        self._used: Counter[str] = Counter()
        self._seen: set[str] = set()

    def draw(self) -> str:
        """The next sentence: of a few candidates the one with the rarest word so far."""
        candidates = self._candidates()
        sentence = max(candidates, key=lambda text: max(self._need(word) for word in text.split()))
        self._seen.add(sentence)
        self._used.update({*sentence.split(), candidates[sentence]})
        return sentence

    def _candidates(self) -> dict[str, str]:
        """Sentences that may be drawn next, each with its pattern."""
        found: dict[str, str] = {}
        for attempt in range(_ATTEMPTS):
            pattern = self._pick(self._grammar.patterns)
            sentence = self._fill(pattern)
            may_repeat = self._part == "train" and attempt > _FRESH
            if part_of(sentence) == self._part and (may_repeat or sentence not in self._seen):
                found[sentence] = pattern
            if len(found) == _CANDIDATES:
                break
        if not found:
            raise StentorError(
                f"the grammar has no further {self._part} sentences after {len(self._seen)}; ask for fewer."
            )
        return found

    def _fill(self, pattern: str) -> str:
        chosen: set[str] = set()

        def option(match: re.Match[str]) -> str:
            picked = self._pick(tuple(text for text in self._grammar.slots[match.group(1)] if text not in chosen))
            chosen.add(picked)
            return picked

        return _SLOT.sub(option, pattern)

    def _pick(self, options: tuple[str, ...]) -> str:
        return self._rng.choices(options, [self._need(text) for text in options])[0]

    def _need(self, text: str) -> float:
        """How much a pattern, word or phrase is wanted; a phrase as much as its last word, which no other one has."""
        used = self._used.get(text)
        if used is None:
            used = self._used.get(text[text.rfind(" ") + 1 :], 0)
        return 1.0 / (1 + used) ** 2
