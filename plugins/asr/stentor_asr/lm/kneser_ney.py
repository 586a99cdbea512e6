"""Modified Kneser-Ney estimation (Chen & Goodman 1999, Computer Speech & Language 13), interpolated, vectorised.

As in KenLM's ``lmplz`` (Heafield et al. 2013, ACL): lower orders count the words that an n-gram was seen behind, unless
it begins a sentence; unigrams are interpolated with the uniform distribution over all words, ``<unk>`` among them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stentor.errors import StentorError
from stentor_asr.lm.arpa import BEGIN, END, UNKNOWN, Arpa

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of once, twice and oftener seen n-grams where a text is too small to estimate them."""
_SPECIAL = (UNKNOWN, BEGIN, END)
_NEVER = 1e-99


class TooSmall(UserWarning):
    """A text did not suffice to estimate the discounts of an order."""


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order.

    Attributes:
        words: last word [N].
        contexts: which n-gram of the order below all but the last word are [N].
        suffixes: which one all but the first word are [N].
        counts: occurrences [N]; `_adjusted` puts in what Kneser-Ney counts.
        begins: whether they begin a sentence [N].
    """

    words: np.ndarray
    contexts: np.ndarray
    suffixes: np.ndarray
    counts: np.ndarray
    begins: np.ndarray


def estimate(sentences: Iterable[Sequence[str]], order: int = 3) -> Arpa:
    """Estimate a model.

    Args:
        sentences: words of each; empty ones are left out.
        order: longest n-grams.

    Raises:
        StentorError: when there is no sentence, the order is below 1, or a text holds a word that ARPA files use.
    """
    if order < 1:
        raise StentorError("the order must be at least 1.", path="order", value=order)
    words, text, ends = _numbered(sentences)
    levels = _adjusted(_counted(text, ends, len(words), order))
    below = np.full(1, 1.0 / (len(words) - 1))  # uniform over all words but <s>, which is never predicted
    grams, logs, backoffs = [], [], []
    spelled = np.zeros((1, 0), np.int64)
    for number, level in enumerate(levels, 1):
        probabilities, weights = _interpolated(number, level, below)
        spelled = np.concatenate([spelled[level.contexts], level.words[:, None]], axis=1)
        grams.append(spelled)
        logs.append(np.log10(probabilities))
        backoffs.append(np.log10(weights))
        below = probabilities
    return Arpa(words, grams, logs, [*backoffs[1:], np.zeros(len(spelled))])


def _numbered(sentences: Iterable[Sequence[str]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words by id, the text with <s> and </s>, and for each place where its sentence ends."""
    known = {word: index for index, word in enumerate(_SPECIAL)}
    text: list[int] = []
    ends: list[int] = []
    for sentence in filter(len, sentences):
        for word in sentence:
            if word in _SPECIAL:
                raise StentorError(f"the text holds '{word}', which means something else in a model.", path="text")
        text += [1, *(known.setdefault(word, len(known)) for word in sentence), 2]
        ends += [len(text)] * (len(text) - len(ends))
    if not text:
        raise StentorError("there is no sentence to learn from.", path="text")
    return list(known), np.array(text), np.array(ends)


def _counted(text: np.ndarray, ends: np.ndarray, size: int, order: int) -> list[_Level]:
    nothing = np.zeros(size, np.int64)
    levels = [_Level(np.arange(size), nothing, nothing, np.bincount(text, minlength=size), np.arange(size) == 1)]
    places, grams = np.arange(len(text)), text  # where n-grams start, and which ones
    for length in range(2, order + 1):
        longer = places + length <= ends[places]
        following = np.zeros(len(text), np.int64)
        following[places] = grams
        places, keys = places[longer], grams[longer] * size + text[places[longer] + length - 1]
        found, first, grams, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        contexts, below = found // size, levels[-1]
        suffixes = following[places[first] + 1]
        levels.append(_Level(found % size, contexts, suffixes, counts, below.begins[contexts]))
    return levels


def _adjusted(levels: list[_Level]) -> list[_Level]:
    """Counts of lower orders are the number of words that an n-gram follows; none counts <s> as a prediction."""
    found = []
    for level, above in zip(levels, [*levels[1:], None], strict=True):
        counts = level.counts
        if above is not None:
            behind = np.bincount(above.suffixes, minlength=len(counts))
            counts = np.where(level.begins, counts, behind)
        found.append(_Level(level.words, level.contexts, level.suffixes, np.where(level.words == 1, 0, counts),
                            level.begins))  # fmt: skip
    return found


def _interpolated(number: int, level: _Level, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the n-grams, and the weights of the order below behind each of their contexts."""
    discounts = _discounts(number, level.counts)[np.minimum(level.counts, 3)]
    totals = np.bincount(level.contexts, level.counts, len(below))
    left = np.bincount(level.contexts, discounts, len(below))
    weights = np.divide(left, totals, out=np.ones(len(below)), where=totals > 0)
    own = (level.counts - discounts) / totals[level.contexts]
    probabilities = own + weights[level.contexts] * below[level.suffixes]
    return np.where(level.words == 1, _NEVER, probabilities), weights


def _discounts(number: int, counts: np.ndarray) -> np.ndarray:
    """What is taken from n-grams seen 0, 1, 2, and 3 or more times."""
    once, twice, thrice, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if min(once, twice, thrice):
        share = once / (once + 2 * twice)
        found = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
        if all(0 <= discount <= times for times, discount in enumerate(found, 1)):
            return np.array([0.0, *found])
    warnings.warn(f"the text is too small to estimate the discounts of {number}-grams; {FALLBACK} are taken.",
                  TooSmall, stacklevel=4)  # fmt: skip
    return np.array([0.0, *FALLBACK])
