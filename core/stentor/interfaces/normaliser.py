"""Normalisers: what counts as the same text in scoring."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stentor.interfaces.component import Component


class Normaliser(Component, ABC):
    """Maps spellings that scoring must not tell apart to one form; deterministic and idempotent on its own output.

    The first line of the class's docstring is the statement printed with every result.
    """

    @abstractmethod
    def __call__(self, text: str) -> str:
        """The scored form of `text`: words separated by single spaces, none at the ends."""

    def describe(self) -> str:
        """One line: what is done to references and outputs before they are compared."""
        return (type(self).__doc__ or type(self).__name__).strip().splitlines()[0].rstrip(".")
