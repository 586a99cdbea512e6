"""A backoff n-gram model as an automaton that is asked about many (state, word) pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from stentor_asr.lm.arpa import BEGIN, END, UNKNOWN, Arpa
from stentor_asr.lm.table import Table

_LN10 = float(np.log(10.0))
_IMPOSSIBLE = -100.0  # log10, as KenLM has it for a model without <unk>


class Model(Protocol):
    """What a decoder asks of a language model."""

    @property
    def words(self) -> list[str]:
        """By id."""
        ...

    @property
    def begin(self) -> int:
        """The state at the beginning of a sentence; 0 is that of no context at all."""
        ...

    def step(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Natural logarithms of the probabilities of words [m] in states [m], and the states behind them."""
        ...


class NGram:
    """An n-gram is a node; a state is the node of the longest context that the model knows.

    Nodes are numbered in order of (node of all but the last word, last word): the number of an n-gram is its place in
    the sorted array of those pairs, plus one; 0 is the empty context.

    Args:
        model: n-grams.

    Raises:
        ValueError: for an n-gram whose first words are no n-gram of the order below.
    """

    def __init__(self, model: Arpa) -> None:
        self.words: list[str] = list(model.words)
        if UNKNOWN not in self.words:
            self.words.append(UNKNOWN)
            model = _with_unknown(model, len(self.words) - 1)
        self._size = len(self.words)
        nodes: list[np.ndarray] = []
        keys, logs, backoffs, suffixes = [np.zeros(0, np.int64)], [np.zeros(1)], [np.zeros(1)], [np.zeros(1, np.int64)]
        for order, grams in enumerate(model.grams, 1):
            self._keys = np.concatenate(keys)
            contexts = self._walk(grams[:, :-1])
            if order > 1 and not contexts.all():
                lost = " ".join(self.words[i] for i in grams[np.argmin(contexts)])
                raise ValueError(f"the {order}-gram '{lost}' stands there without the {order - 1}-gram it goes on from")
            found = contexts * self._size + grams[:, -1]
            ranks = np.argsort(found, kind="stable")
            keys.append(found[ranks])
            logs.append(model.logs[order - 1][ranks] * _LN10)
            backoffs.append(model.backoffs[order - 1][ranks] * _LN10)
            nodes.append(grams[ranks])
        self._keys = np.concatenate(keys)
        self._table = Table(self._keys)
        self._logs, self._backoffs = np.concatenate(logs), np.concatenate(backoffs)
        suffixes += [self._suffix(grams) for grams in nodes]
        self._suffixes = np.concatenate(suffixes)
        self._next = np.arange(len(self._suffixes))
        last = slice(len(self._next) - len(nodes[-1]), None)
        self._next[last] = self._suffixes[last]
        self.begin = int(self._walk(np.array([[self.words.index(BEGIN)]]))[0]) if BEGIN in self.words else 0

    def step(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Model`."""
        score, after, left = np.zeros(len(words)), np.zeros(len(words), np.int64), np.arange(len(words))
        while len(left):
            keys = states * self._size + words
            places = self._table.find(keys)
            hit = places >= 0
            nodes = places[hit] + 1
            score[left[hit]] += self._logs[nodes]
            after[left[hit]] = self._next[nodes]
            left, states, words = left[~hit], states[~hit], words[~hit]
            score[left] += self._backoffs[states]
            states = self._suffixes[states]
        return score, after

    def _walk(self, grams: np.ndarray) -> np.ndarray:
        """Nodes of n-grams [N, n]; 0 where there is none (and for those of no word)."""
        node = np.zeros(len(grams), np.int64)
        alive = np.ones(len(grams), bool)
        for column in grams.T:
            keys = node * self._size + column
            places = np.searchsorted(self._keys, keys)
            places[places == len(self._keys)] = 0
            if not len(self._keys):
                return node
            alive &= self._keys[places] == keys
            node = np.where(alive, places + 1, 0)
        return node

    def _suffix(self, grams: np.ndarray) -> np.ndarray:
        """The node of the longest proper suffix that there is."""
        found = np.zeros(len(grams), np.int64)
        for start in range(grams.shape[1] - 1, 0, -1):
            node = self._walk(grams[:, start:])
            found = np.where(node > 0, node, found)
        return found


def _with_unknown(model: Arpa, index: int) -> Arpa:
    first = (model.grams[0], model.logs[0], model.backoffs[0])
    grams, logs, backoffs = (
        np.concatenate([values, added])
        for values, added in zip(first, (np.array([[index]]), [_IMPOSSIBLE], [0.0]), strict=True)
    )
    return Arpa([*model.words, UNKNOWN], [grams, *model.grams[1:]], [logs, *model.logs[1:]],
                [backoffs, *model.backoffs[1:]])  # fmt: skip


def log_probability(model: Model, sentence: Sequence[str]) -> float:
    """Natural logarithm of the probability of a sentence, its end included."""
    known = {word: index for index, word in enumerate(model.words)}
    state, total = np.array([model.begin]), 0.0
    for word in (*sentence, END):
        score, state = model.step(state, np.array([known.get(word, known[UNKNOWN])]))
        total += float(score[0])
    return total
