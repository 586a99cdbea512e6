"""Text normalisers: what was written, as one would say it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stentor.interfaces.component import Component


class TextNormaliser(Component, ABC):
    """Turns what is written into the words that are said, e.g. "$25 at 10:30" into "twenty five dollars at ten thirty".

    The way to `itn`, backwards; deterministic. Punctuation stays: it says where to pause.
    """

    @abstractmethod
    def __call__(self, text: str) -> str:
        """One line as it is spoken; words that have no other form stay as they are."""
