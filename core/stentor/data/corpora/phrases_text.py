"""The text of the corpora `phrases` and `lm-text`: sentences with a German translation, questions with an answer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from stentor.data.corpora.commands_text import Part, part_of

_SLOT = re.compile(r"\[(\w+'?)\]")
_ATTEMPTS = 10_000
TRANSCRIBE, TRANSLATE, ANSWER = "transcribe", "translate to german", "answer"
"""The instructions of the plain tasks, as a language model reads them."""
CHAT: Mapping[str, tuple[str, ...]] = {
    TRANSCRIBE: ("please write down what i say", "could you write that down for me", "can you repeat what i said"),
    TRANSLATE: ("how do you say that in german", "could you please say it in german", "i need that in german"),
    ANSWER: ("can you help me with this question", "please answer my question", "do you know the answer to this"),
    "first word": ("what was the first word i said", "tell me only the first word"),
    "last word": ("what was the last word i said", "tell me only the last word"),
    "twice": ("please say it twice", "can you say that two times"),
}
"""Chat-style instructions by task; the last three tasks have no plain instruction."""


@dataclass(frozen=True)
class Phrase:
    """Something to say, and what the right reaction to it is.

    Attributes:
        spoken: in English, lower case, no punctuation.
        german: its translation; empty for a question.
        answer: to the question; empty for any other sentence.
    """

    spoken: str
    german: str = ""
    answer: str = ""

    def responses(self) -> dict[str, str]:
        """Instruction -> right response, for the plain tasks that the phrase admits."""
        told = {TRANSCRIBE: self.spoken, TRANSLATE: self.german, ANSWER: self.answer}
        return {instruction: response for instruction, response in told.items() if response}

    def chats(self) -> dict[str, str]:
        """Chat task -> right response."""
        words = self.spoken.split()
        return {**self.responses(), "first word": words[0], "last word": words[-1], "twice": f"{self.spoken} " * 2}


@dataclass
class Grammar:
    """What ``phrases.txt`` says: pairs of slot values, pairs of sentences, facts, and ways to ask for them."""

    slots: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    sentences: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    questions: list[tuple[str, str]] = field(default_factory=list)


@cache
def grammar() -> Grammar:
    """The grammar in ``phrases.txt``, beside this module."""
    made = Grammar()
    for line in files(__package__).joinpath("phrases.txt").read_text("utf-8").splitlines():
        word, _, rest = line.partition(" ")
        name, _, body = rest.partition(":")
        if word in ("slot", "facts"):
            table = made.slots if word == "slot" else made.facts
            table[name] = [_pair(option) for option in body.split("|")]
        elif word == "say":
            made.sentences.append(_pair(rest))
        elif word == "ask":
            made.questions.append((name, body.strip()))
    return made


def _pair(text: str) -> tuple[str, str]:
    english, _, other = text.partition("=")
    return english.strip(), other.strip()


class Phrases:
    """A seeded stream of phrases of one part; what is held out never occurs in training (`part_of`).

    Args:
        part: which sentences.
        seed: of the stream.
    """

    def __init__(self, part: Part, seed: int) -> None:
        self._part, self._rng = part, random.Random(f"phrases {part} {seed}")
        self._questions = [phrase for phrase in _questions() if part_of(phrase.spoken) == part]
        self._left: list[Phrase] = []

    def sentence(self) -> Phrase:
        """The next sentence with its translation."""
        for _ in range(_ATTEMPTS):
            phrase = self._filled(*self._rng.choice(grammar().sentences))
            if part_of(phrase.spoken) == self._part:
                return phrase
        raise RuntimeError(f"the grammar has no {self._part} sentence")

    def question(self) -> Phrase:
        """The next question with its answer; all come up before one comes again."""
        if not self._left:
            self._left = self._rng.sample(self._questions, len(self._questions))
        return self._left.pop()

    def _filled(self, english: str, german: str) -> Phrase:
        chosen: dict[str, tuple[str, str]] = {}
        for name in _SLOT.findall(english):
            options = [pair for pair in grammar().slots[name.rstrip("'")] if pair not in chosen.values()]
            chosen[name] = self._rng.choice(options)
        sides = [_SLOT.sub(lambda found, side=side: chosen[found.group(1)][side], text)  # type: ignore[misc]
                 for side, text in enumerate((english, german))]  # fmt: skip
        return Phrase(sides[0], german=sides[1])


def _questions() -> Iterator[Phrase]:
    for topic, wording in grammar().questions:
        for subject, answer in grammar().facts[topic]:
            yield Phrase(wording.replace("[x]", subject), answer=answer)
