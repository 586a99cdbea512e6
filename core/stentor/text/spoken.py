"""The text normalisers that come with the core: what is written, as it is said."""

from __future__ import annotations

from stentor.interfaces.tn import TextNormaliser
from stentor.text import english
from stentor.text.grammars import grammar


class Plain(TextNormaliser):
    """English numbers, money, times, dates, measures, abbreviations and signs in words, by rules; nothing to install.

    Four digits from 1100 to 2099 are read as a year, 5/3/2024 as the third of May.
    """

    def __call__(self, text: str) -> str:
        return english.spoken(text)


class Nemo(TextNormaliser):
    """NVIDIA's weighted grammars: numbers, money, dates, times, measures, addresses, telephone numbers.

    Needs the extra ``text``; the grammar of a language is built at first use and kept. About 50 ms a sentence.

    Args:
        language: code such as ``en``, ``de``, ``es``, ``fr``, ``ru`` or ``zh``.
    """

    def __init__(self, *, language: str = "en") -> None:
        self.language = language
        grammar("spoken", language)  # what is missing is told now

    def __call__(self, text: str) -> str:
        if not text.strip():
            return ""
        return " ".join(str(grammar("spoken", self.language).normalize(text, verbose=False)).split())
