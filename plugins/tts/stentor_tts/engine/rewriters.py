"""Rewriters: more texts out of few, without a model."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from stentor.config import NameOf
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_tts.engine.interfaces import Rewriter

Form = Literal["as-is", "plain", "sentence", "question", "capitals"]
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_PUNCTUATION = re.compile(r"[^\w\s'-]+")
_PLACE = "{text}"


class Alternatives(Rewriter):
    """Writes out alternatives in brackets: ``turn [on | off] the lamp`` gives two texts.

    Args:
        most: forms of one text; of more, so many are drawn, the same every time.
    """

    def __init__(self, *, most: int = 8) -> None:
        self.most = most

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._forms(text) for text in texts]

    def _forms(self, text: str) -> list[str]:
        rng, found = random.Random(text), dict.fromkeys(_expanded(text, 64 * self.most))
        forms = list(found)
        return forms if len(forms) <= self.most else rng.sample(forms, self.most)


class Templates(Rewriter):
    """Puts every text into frames: ``please {text}``.

    Args:
        templates: each with one ``{text}``; list ``{text}`` alone to keep the text itself.

    Raises:
        StentorError: for a template without a place for the text.
    """

    def __init__(self, *, templates: tuple[str, ...] = ("{text}", "please {text}")) -> None:
        for template in templates:
            if template.count(_PLACE) != 1:
                raise StentorError("a template has one {text}.", path="rewriter.templates", value=template)
        self.templates = tuple(templates)

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        return [[template.replace(_PLACE, text) for template in self.templates] for text in texts]


class SpokenForms(Rewriter):
    """Numbers, times, money and abbreviations in the words that are said.

    Args:
        tn: the text normaliser, one of `stentor list tn`.
        keep: whether the text is said in its written form too.
    """

    def __init__(self, *, tn: Annotated[str, NameOf("tn")] = "plain", keep: bool = False) -> None:
        self.tn, self.keep = tn, keep

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        normaliser = registry().build("tn", self.tn)
        return [list(dict.fromkeys([text] * self.keep + [normaliser(text)])) for text in texts]


class WrittenForms(Rewriter):
    """The same words with other capitals and punctuation: speech need not change, a model has to take it.

    Args:
        forms: ``as-is``; ``plain``: lower case, no punctuation; ``sentence``: a capital and a full stop; ``question``:
            a capital and a question mark; ``capitals``: upper case.
    """

    def __init__(self, *, forms: tuple[Form, ...] = ("plain",)) -> None:
        self.forms = tuple(forms)

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        return [list(dict.fromkeys(written for form in self.forms if (written := _written(text, form))))
                for text in texts]  # fmt: skip


def _expanded(text: str, most: int) -> list[str]:
    """All ways through the brackets, the first `most` of them."""
    match = _CHOICE.search(text)
    if not match:
        return [" ".join(text.split())]
    found: list[str] = []
    for option in match.group(1).split("|"):
        found += _expanded(text[: match.start()] + option.strip() + text[match.end() :], most - len(found))
        if len(found) >= most:
            break
    return found[:most]


def _written(text: str, form: Form) -> str:
    if form == "as-is":
        return text
    if form == "capitals":
        return text.upper()
    bare = " ".join(_PUNCTUATION.sub(" ", text).split())
    if form == "plain":
        return bare.lower()
    return bare[:1].upper() + bare[1:] + ("?" if form == "question" else ".") if bare else ""
