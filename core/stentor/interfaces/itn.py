"""Inverse text normalisers: what was said, as one would write it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stentor.interfaces.component import Component


class InverseNormaliser(Component, ABC):
    """Turns the words of a recogniser into written form, e.g. "twenty five dollars" into "$25"; deterministic."""

    @abstractmethod
    def __call__(self, text: str) -> str:
        """The written form of one line of text; words that have no other form stay as they are."""
