"""Word and character error rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from stentor import plugins
from stentor.evaluate.alignment import distance
from stentor.interfaces.metric import Metric


class ErrorRate(Metric):
    """Edit distance over the number of reference tokens, over a whole set."""

    name: ClassVar[str]
    counted: ClassVar[str]

    def __init__(self, *, normaliser: str = "english") -> None:
        self.normaliser_name = normaliser
        self.normaliser = plugins.registry().build("normaliser", normaliser)

    @abstractmethod
    def tokens(self, text: str) -> list[str]:
        """What is counted in `text`, after normalisation."""

    def counts(self, references: Sequence[str], outputs: Sequence[str]) -> list[tuple[float, float]]:
        pairs = [(self.tokens(r), self.tokens(o)) for r, o in zip(references, outputs, strict=True)]
        return [(float(distance(reference, output)), float(len(reference))) for reference, output in pairs]

    def describe(self) -> str:
        counted = f"substituted, inserted and deleted {self.counted} over {self.counted} of the references"
        return f"{counted}; text normaliser {self.normaliser_name}: {self.normaliser.describe()}"


class WordErrorRate(ErrorRate):
    """WER: word edits over reference words, in per cent."""

    name, counted = "wer", "words"

    def tokens(self, text: str) -> list[str]:
        return self.normaliser(text).split()


class CharacterErrorRate(ErrorRate):
    """CER: character edits over reference characters, single spaces between words included, in per cent."""

    name, counted = "cer", "characters (spaces included)"

    def tokens(self, text: str) -> list[str]:
        return list(self.normaliser(text))


class ResponseErrorRate(ErrorRate):
    """Response error rate: utterances whose text differs from the reference, in per cent."""

    name, counted = "response-errors", "utterances"

    def tokens(self, text: str) -> list[str]:
        return [self.normaliser(text)]
