"""The kinds that the data engine is made of: what rewrites texts, and what judges takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from stentor.interfaces.component import Component
from stentor.interfaces.metric import Spoken


class Rewriter(Component, ABC):
    """Texts to further forms of them; deterministic."""

    contract: ClassVar[str] = "stentor_tts.testing.rewriter:RewriterContract"

    @abstractmethod
    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        """The forms of every text, in order; the text itself is among them only if it shall be said too.

        No form drops a text. A text is rewritten alone as it is among others.
        """


@dataclass(frozen=True)
class Verdict:
    """What a filter finds.

    Attributes:
        reason: why the take is not kept, in a few words that begin alike for alike reasons; empty keeps it.
        measures: numbers that it found, kept with the take.
    """

    reason: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)


class Filter(Component, ABC):
    """Keeps or rejects what teachers said. `load_pretrained` reads what it judges with."""

    contract: ClassVar[str] = "stentor_tts.testing.filter:FilterContract"

    @abstractmethod
    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        """A verdict for every take, in order; deterministic, and what it judged before changes nothing.

        Args:
            takes: `text` is what it should say, `output` its audio, `prompt` an example of its voice.
        """
