"""Backoff n-gram models: scored, and estimated for tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

BEGIN, END = "<s>", "</s>"
Context = tuple[str, ...]


class NGram:
    """A backoff model (Katz 1987): natural logarithms of probabilities and of backoff weights, by n-gram.

    Args:
        probabilities: n-gram -> log P(last word | words before).
        backoffs: context -> log of its backoff weight; a context without one has weight 1.
    """

    def __init__(self, probabilities: Mapping[Context, float], backoffs: Mapping[Context, float]) -> None:
        self.probabilities, self.backoffs = dict(probabilities), dict(backoffs)
        self.order = max(map(len, self.probabilities))
        self.contexts = {(), *self.backoffs, *(ngram[:-1] for ngram in self.probabilities)}

    @property
    def start(self) -> Context:
        """The context at the beginning of a sentence."""
        return self.context((BEGIN,))

    def context(self, history: Context) -> Context:
        """The longest end of `history` that the model tells apart from shorter ones."""
        history = history[max(0, len(history) - self.order + 1) :]
        while history not in self.contexts:
            history = history[1:]
        return history

    def log_probability(self, word: str, history: Context) -> float:
        """log P(word | history); minus infinity for a word that the model has not."""
        history, weight = self.context(history), 0.0
        while (*history, word) not in self.probabilities:
            if not history:
                return -math.inf
            weight += self.backoffs.get(history, 0.0)
            history = history[1:]
        return weight + self.probabilities[(*history, word)]

    def sentence(self, words: Sequence[str]) -> float:
        """log P of a whole sentence, its end included."""
        total, history = 0.0, self.start
        for word in (*words, END):
            total += self.log_probability(word, history)
            history = self.context((*history, word))
        return total


def bigram(sentences: Sequence[Sequence[str]], words: Sequence[str]) -> NGram:
    """A bigram over `words` from sentences, smoothed so that every pair has some probability.

    Witten and Bell 1991 (IEEE Trans. Information Theory 37(4)), method C, interpolated: the unigram stands for as many
    events as a context has kinds of followers; the unigram itself is interpolated with the uniform distribution.
    """
    pairs = Counter(pair for sentence in sentences for pair in zip((BEGIN, *sentence), (*sentence, END)))
    events = (*dict.fromkeys(words), END)
    singles: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for (before, word), count in pairs.items():
        singles[word] += count
        seen[before] += count
        kinds[before] += 1
    mass = sum(singles.values()) + max(1, len(singles))
    unigram = {word: (singles[word] + max(1, len(singles)) / len(events)) / mass for word in events}
    probabilities: dict[Context, float] = {(word,): math.log(value) for word, value in unigram.items()}
    for (before, word), count in pairs.items():
        smoothed = (count + kinds[before] * unigram[word]) / (seen[before] + kinds[before])
        probabilities[before, word] = math.log(smoothed)
    backoffs: dict[Context, float] = {
        (before,): math.log(kinds[before] / (seen[before] + kinds[before])) for before in seen
    }
    return NGram(probabilities, backoffs)
