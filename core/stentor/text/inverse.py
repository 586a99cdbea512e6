"""The inverse normalisers that come with the core."""

from __future__ import annotations

from stentor.interfaces.itn import InverseNormaliser
from stentor.text.grammars import grammar


class Plain(InverseNormaliser):
    """English numbers, amounts of money, ordinals and per cents in digits; nothing to install.

    The implementation is the number part of Whisper's English normaliser (arXiv 2212.04356, appendix C) in
    `transformers`; it knows neither dates nor times of day.
    """

    def __init__(self) -> None:
        from transformers.models.whisper import english_normalizer

        self._numbers = english_normalizer.EnglishNumberNormalizer()  # type: ignore[no-untyped-call]

    def __call__(self, text: str) -> str:
        return " ".join(str(self._numbers(text)).split())


class Nemo(InverseNormaliser):
    """NVIDIA's weighted grammars: numbers, money, dates, times, measures, addresses, telephone numbers.

    Needs the extra ``text``; the grammar of a language is built at first use and kept. Expects lower-case text without
    punctuation: what is spelled otherwise stays as it is.

    Args:
        language: code such as ``en``, ``de``, ``es``, ``fr``, ``ru`` or ``zh``.
    """

    def __init__(self, *, language: str = "en") -> None:
        self.language = language
        grammar("written", language)  # what is missing is told now

    def __call__(self, text: str) -> str:
        if not text.strip():
            return ""
        return str(grammar("written", self.language).inverse_normalize(text, verbose=False))
