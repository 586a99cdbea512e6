"""What a language model's words are among the indices of the log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stentor.errors import StentorError
from stentor_asr.decoders.language import symbol
from stentor_asr.decoders.pieces import SPACE, Pieces
from stentor_asr.lattice.ngram import BEGIN, END, NGram
from stentor_asr.lm import arpa

_LN10 = math.log(10.0)
_UNSAID = (BEGIN, END, arpa.UNKNOWN)


@dataclass(frozen=True)
class Spoken:
    """Words that can be heard.

    Attributes:
        labels: word -> label, from 1.
        pronunciations: (word, indices of its tokens).
        separator: index of the token between two words, if the tokenizer has one.
    """

    labels: Mapping[str, int]
    pronunciations: list[tuple[str, tuple[int, ...]]]
    separator: int | None

    def tokens(self, labels: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the tokens of a sequence of words."""
        between = () if self.separator is None else (self.separator,)
        joined = [i for label in labels for i in (*self.pronunciations[label - 1][1], *between)]
        return tuple(joined[: len(joined) - len(between)])


def model_of(path: str) -> NGram:
    """The model of an ARPA file.

    Raises:
        StentorError: when it cannot be read.
    """
    read = arpa.read(path)
    probabilities: dict[tuple[str, ...], float] = {}
    backoffs: dict[tuple[str, ...], float] = {}
    for grams, logs, weights in zip(read.grams, read.logs, read.backoffs, strict=True):
        for ids, log, weight in zip(grams.tolist(), logs.tolist(), weights.tolist(), strict=True):
            ngram = tuple(read.words[i] for i in ids)
            probabilities[ngram] = log * _LN10
            if weight:
                backoffs[ngram] = weight * _LN10
    return NGram(probabilities, backoffs)


def token_labels(model: NGram, pieces: Pieces) -> dict[str, int]:
    """Words of a model of tokens -> indices; tokens that it has not got are left out.

    Raises:
        StentorError: when it has none of them.
    """
    names = {symbol(piece): index for index, piece in enumerate(pieces.spelled) if piece}
    found = {name: index for name, index in names.items() if (name,) in model.probabilities and name not in _UNSAID}
    if not found:
        raise StentorError("the language model has none of the tokenizer's tokens; is it one of words?",
                           path="decoder.level")  # fmt: skip
    return found


def lexicon(model: NGram, pieces: Pieces) -> Spoken:
    """The words of a model of words as the tokenizer spells them; those that it cannot spell are left out.

    Raises:
        StentorError: when it can spell none, or has no token between words.
    """
    pieces.check_words()
    words = sorted(ngram[0] for ngram in model.probabilities if len(ngram) == 1 and ngram[0] not in _UNSAID)
    spelled = [(word, tuple(i + 1 for i in pieces.tokenizer.encode(word))) for word in words]
    fitting = [(word, ids) for word, ids in spelled if ids and pieces.text(ids).strip() == word]
    if not fitting:
        raise StentorError("the tokenizer can spell none of the language model's words.", path="decoder.lm")
    labels = {word: label for label, (word, _) in enumerate(fitting, 1)}
    return Spoken(labels, fitting, _separator(pieces, fitting[0][1][0]))


def _separator(pieces: Pieces, first: int) -> int | None:
    """The token between words, unless words begin with their space."""
    if pieces.spelled[first].startswith(SPACE):
        return None
    if SPACE not in pieces.spelled:
        raise StentorError("the tokenizer has no token for the space between words.", path="decoder.level")
    return pieces.spelled.index(SPACE)
