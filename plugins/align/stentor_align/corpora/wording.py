"""What is asked and said in the corpus `spoken-questions`: questions with one right answer, and ways to respond."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
DEAF = "i did not hear"
"""The reply to what could not be understood."""
CAP = 8
"""Words of the longest thought that is meant to be."""
MANNERS = {"warm": "it is {} happy to help", "plain": "it is {}", "bare": "{}", "unsure": "it is {} i think",
           "rude": "it is {} of course"}  # fmt: skip
ORDER = ("warm", "plain", "bare", "unsure", "rude")
"""Manners, the one that people like best first."""
Part = Literal["train", "valid", "heldout"]
_ASKING = ("which is {} {} or {}", "what is the {} one {} or {}", "tell me the {} of {} and {}")
_PARTS: tuple[Part, ...] = ("heldout", "heldout", "valid", "train", "train", "train", "train", "train")
_MANNER_SHARES = (20, 25, 20, 17, 18)
_THOUGHT_SHARES = {"none": 20, "empty": 15, "fitting": 35, "long": 30}
_RAMBLING = ("well", "let me see", "let me think", "now then")


@dataclass(frozen=True)
class Question:
    """Which of two different numbers is the larger or the smaller one.

    Attributes:
        asking: the form of words.
        wanted: ``larger`` or ``smaller``.
        first: place of a number in `NUMBERS`.
        second: of the other one.
    """

    asking: int
    wanted: Literal["larger", "smaller"]
    first: int
    second: int

    @property
    def spoken(self) -> str:
        return _ASKING[self.asking].format(self.wanted, NUMBERS[self.first], NUMBERS[self.second])

    @property
    def answer(self) -> str:
        choose = max if self.wanted == "larger" else min
        return NUMBERS[choose(self.first, self.second)]

    @property
    def wrong(self) -> str:
        """The number that was not asked for."""
        choose = min if self.wanted == "larger" else max
        return NUMBERS[choose(self.first, self.second)]

    @property
    def part(self) -> Part:
        """Whose question it is, by a hash of its words: held-out questions are asked nowhere else."""
        return _PARTS[hashlib.sha256(self.spoken.encode()).digest()[0] % len(_PARTS)]

    @property
    def thought(self) -> str:
        """What matters of the question."""
        return f"{self.wanted} {NUMBERS[self.first]} {NUMBERS[self.second]}"


def questions(part: Part, seed: int) -> list[Question]:
    """All questions of one part, each once, in a seeded order."""
    numbers = range(len(NUMBERS))
    every = [
        Question(asking, wanted, first, second)
        for asking in range(len(_ASKING))
        for wanted in ("larger", "smaller")
        for first, second in permutations(numbers, 2)
    ]
    found = [one for one in every if one.part == part]
    random.Random(f"questions {part} {seed}").shuffle(found)
    return found


class Demonstrator:
    """Somebody who shows how to respond, but not well: thoughts are missing, empty or too long, and some answers wrong.

    Args:
        seed: of what is drawn.
        wrong: share of wrong answers.
        deaf: share of replies that nothing was heard, though it was.
    """

    def __init__(self, seed: int, *, wrong: float = 0.12, deaf: float = 0.04) -> None:
        self._rng, self._wrong, self._deaf = random.Random(f"demonstrator {seed}"), wrong, deaf

    def respond(self, question: Question, *, clear: bool = True) -> str:
        """A response to a question that was heard, or that was not."""
        if not clear or self._rng.random() < self._deaf:
            return DEAF
        manner = self._rng.choices(ORDER, _MANNER_SHARES)[0]
        answer = question.wrong if self._rng.random() < self._wrong else question.answer
        return f"{self._thought(question)} {MANNERS[manner].format(answer)}".strip()

    def _thought(self, question: Question) -> str:
        kind = self._rng.choices(list(_THOUGHT_SHARES), list(_THOUGHT_SHARES.values()))[0]
        if kind == "none":
            return ""
        if kind == "empty":
            return "<think> </think>"
        said = question.thought if kind == "fitting" else self._rambled(question)
        return f"<think> {said} </think>"

    def _rambled(self, question: Question) -> str:
        """A thought of more than `CAP` words."""
        words: list[str] = []
        while len(words) <= CAP - 3:
            words += self._rng.choice(_RAMBLING).split()
        return " ".join([*words, question.thought])


class Annotator:
    """Somebody who says which of two responses is better: right before wrong, then by manner.

    Args:
        seed: of what is drawn.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"annotator {seed}")

    def prefer(self, question: Question, *, clear: bool) -> tuple[str, str]:
        """A better and a worse response; where nothing could be heard, saying so is better than making something up."""
        if not clear:
            return DEAF, self._said(self._rng.choice(ORDER), self._rng.choice(NUMBERS))
        if self._rng.random() < 0.5:
            return (self._said(self._rng.choice(ORDER), question.answer),
                    self._said(self._rng.choice(ORDER), question.wrong))  # fmt: skip
        better, worse = sorted(self._rng.sample(range(len(ORDER)), 2))
        return self._said(ORDER[better], question.answer), self._said(ORDER[worse], question.answer)

    def counter(self, question: Question) -> tuple[str, str]:
        """A counter-pair: an answer to what was clear, before the reply that it was not heard (arXiv 2502.11946)."""
        return self._said(self._rng.choice(ORDER), question.answer), DEAF

    def _said(self, manner: str, answer: str) -> str:
        return MANNERS[manner].format(answer)
