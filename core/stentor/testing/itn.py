"""The contract of inverse text normalisers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from stentor.testing.contract import ComponentContract


class InverseNormaliserContract(ComponentContract):
    """Checks for inverse text normalisers.

    Attributes:
        texts: what it is tried on.
        as_they_are: texts that have no other written form.
    """

    kind = "itn"
    texts: ClassVar[Sequence[str]] = ("turn left after twenty five yards", "the boat costs three hundred dollars", "")
    as_they_are: ClassVar[Sequence[str]] = ("turn left at the bridge", "")

    def probe(self, component: Any) -> Any:
        return [component(text) for text in self.texts]

    def test_words_without_another_form_stay(self) -> None:
        """What is written as it is said is left alone; nothing comes of nothing."""
        write = self.build()
        for text in self.as_they_are:
            self.demand(write(text) == text, f"{text!r} becomes {write(text)!r}.")

    def test_one_line(self) -> None:
        """Text of one line, without space at its ends."""
        for text, written in zip(self.texts, self.probe(self.build()), strict=True):
            clean = isinstance(written, str) and written == " ".join(written.split())
            self.demand(clean, f"{text!r} becomes {written!r}.")

    def test_deterministic(self) -> None:
        """Two instances agree."""
        self.demand(self.probe(self.build()) == self.probe(self.build()), "two instances write differently.")
