"""The contract of text normalisers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from stentor.testing.contract import ComponentContract


class TextNormaliserContract(ComponentContract):
    """Checks for text normalisers.

    Attributes:
        texts: what it is tried on.
        as_they_are: texts that are said as they are written.
    """

    kind = "tn"
    texts: ClassVar[Sequence[str]] = ("turn left after 25 yards", "the boat costs $300, or more.", "")
    as_they_are: ClassVar[Sequence[str]] = ("turn left at the bridge, please.", "")

    def probe(self, component: Any) -> Any:
        return [component(text) for text in self.texts]

    def test_words_without_another_form_stay(self) -> None:
        """What is written as it is said is left alone, with its punctuation; nothing comes of nothing."""
        say = self.build()
        for text in self.as_they_are:
            self.demand(say(text) == text, f"{text!r} becomes {say(text)!r}.")

    def test_no_digits_are_left(self) -> None:
        """Numbers become words."""
        for text, said in zip(self.texts, self.probe(self.build()), strict=True):
            self.demand(not any(map(str.isdigit, said)), f"{text!r} becomes {said!r}.")

    def test_one_line(self) -> None:
        """Text of one line, without space at its ends."""
        for text, said in zip(self.texts, self.probe(self.build()), strict=True):
            clean = isinstance(said, str) and said == " ".join(said.split())
            self.demand(clean, f"{text!r} becomes {said!r}.")

    def test_deterministic(self) -> None:
        """Two instances agree."""
        self.demand(self.probe(self.build()) == self.probe(self.build()), "two instances speak differently.")
