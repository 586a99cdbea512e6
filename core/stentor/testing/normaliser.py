"""The contract of text normalisers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from stentor.testing.contract import ComponentContract
from stentor.testing.signals import SENTENCES


class NormaliserContract(ComponentContract):
    """Checks for text normalisers.

    Attributes:
        texts: what it is tried on.
    """

    kind = "normaliser"
    texts: ClassVar[Sequence[str]] = (
        *SENTENCES,
        "Mr. O'Neil's  dog -- 'Rex', aged 12 -- can't swim!",
        "",
        "  Ünïcode\tand\nlines ",
        "twenty-one, 21st; £3.50",
    )

    def probe(self, component: Any) -> Any:
        return [component(text) for text in self.texts]

    def test_idempotent(self) -> None:
        """Its own output is already normal."""
        normalise = self.build()
        for text in self.texts:
            once = normalise(text)
            self.demand(normalise(once) == once, f"{text!r} becomes {once!r}, and that becomes {normalise(once)!r}.")

    def test_deterministic(self) -> None:
        """Two instances agree."""
        self.demand(self.probe(self.build()) == self.probe(self.build()), "two instances give different forms.")

    def test_described(self) -> None:
        """It says in one line what it does: the line is printed with every result."""
        words = self.build().describe()
        self.demand(bool(words.strip()) and "\n" not in words, f"describe() gives {words!r}.")
