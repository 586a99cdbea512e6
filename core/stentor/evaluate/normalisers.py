"""The text normalisers that come with the core."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache, cached_property
from importlib.resources import files

from stentor.interfaces.normaliser import Normaliser
from stentor.text.grammars import grammar

_ROUNDS = 8  # two or three are enough for every text tried; no text may loop for ever


class English(Normaliser):
    """Whisper's English normaliser.

    Lower case, no punctuation, no fillers, nothing in brackets, contractions spelled out, numbers as digits, American
    spelling.

    Radford et al. 2022 (arXiv:2212.04356), appendix C; the implementation is that of `transformers`. Runs of number
    words become one number ("one two three" is "123"), so they count as one word. It is applied until nothing changes:
    once alone, it leaves signs and leading zeros to spoken numbers that it takes from written ones ("minus five" gave
    "-5", and "-5" gave "5").
    """

    @cached_property
    def _normalise(self) -> Callable[[str], str]:
        """Made when it is first needed: whoever is only named in a recipe costs no import of `transformers`."""
        from transformers.models.whisper import english_normalizer

        build: Callable[[dict[str, str]], Callable[[str], str]] = english_normalizer.EnglishTextNormalizer
        return build(_american_spelling())

    def __call__(self, text: str) -> str:
        for _ in range(_ROUNDS):
            before, text = text, " ".join(self._normalise(text).split())
            if text == before:
                break
        return text

    def describe(self) -> str:
        return (
            "Whisper's English normaliser (lower case, no punctuation, fillers or brackets, contractions "
            "spelled out, numbers as digits, American spelling), applied until nothing changes"
        )


class Basic(Normaliser):
    """Unicode NFKC, lower case, punctuation and symbols become spaces; for any language."""

    def __call__(self, text: str) -> str:
        lowered = unicodedata.normalize("NFKC", text).lower()
        return " ".join("".join(" " if unicodedata.category(c)[0] in "PSC" else c for c in lowered).split())


class Spoken(Normaliser):
    """Numbers, dates, times and abbreviations spelled out by NVIDIA's grammars, then as ``basic``; English.

    Makes "$5 on May 1st" and "five dollars on may first" equal. Needs the extra ``text``; slow beside the others (about
    50 ms a sentence).
    """

    def __init__(self) -> None:
        grammar("spoken", "en")  # what is missing is told now
        self._basic = Basic()

    def __call__(self, text: str) -> str:
        return self._basic(grammar("spoken", "en").normalize(text, verbose=False)) if text.strip() else ""


class Verbatim(Normaliser):
    """As written, apart from the amount of white space."""

    def __call__(self, text: str) -> str:
        return " ".join(text.split())


@cache
def _american_spelling() -> dict[str, str]:
    lines = files("stentor.evaluate").joinpath("spelling.txt").read_text("utf-8").splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {british: american for british, american in pairs}  # noqa: C416
