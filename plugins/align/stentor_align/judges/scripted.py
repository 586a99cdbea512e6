"""Judge ``scripted``: fixed answers, for tests and for probes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stentor.errors import StentorError
from stentor_align.interfaces import Judge


class ScriptedJudge(Judge):
    """Answers by rules, without any model.

    Args:
        rules: regular expression -> answer; the first that is found in a question gives its answer, in which ``\\1``
            stands for its first group.
        otherwise: the answer where no rule holds; empty: none.
    """

    models = ("rules", "otherwise")

    def __init__(self, *, rules: Mapping[str, str] = {}, otherwise: str = "tie") -> None:
        try:
            self._rules = [(re.compile(pattern, re.DOTALL), answer) for pattern, answer in rules.items()]
        except re.error as cause:
            raise StentorError(f"a rule is no regular expression: {cause}.", path="rules") from cause
        self._otherwise = otherwise

    def ask(self, questions: Sequence[str]) -> list[str | None]:
        return [self._answer(question) for question in questions]

    def _answer(self, question: str) -> str | None:
        for pattern, answer in self._rules:
            if found := pattern.search(question):
                return found.expand(answer)
        return self._otherwise or None
