"""Shallow fusion with an n-gram model (Gulcehre et al., arXiv 1503.03535) of words or of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stentor_asr.decoders.fusion import Fusion, State
from stentor_asr.decoders.pieces import SPACE, Pieces
from stentor_asr.lm.arpa import END, UNKNOWN
from stentor_asr.lm.automaton import Model
from stentor_asr.lm.table import Table

_BASE = 0x9E3779B97F4A7C15 | 1
_MASK = 2**64 - 1


def symbol(piece: bytes) -> str:
    """How a model of tokens writes a piece: without spaces, which ARPA files cannot hold."""
    text = piece.decode(errors="backslashreplace").replace(" ", "\N{LOWER ONE EIGHTH BLOCK}")
    return UNKNOWN if text in ("", "\N{REPLACEMENT CHARACTER}") else text


class Lengths(Fusion):
    """No model: every token adds `bonus`."""

    def __init__(self, bonus: float) -> None:
        self._bonus = bonus

    def begin(self, rows: int) -> State:
        return {}

    def offers(self, state: State, tokens: np.ndarray) -> np.ndarray:
        return np.full((1, 1, 1), self._bonus)

    def extended(self, state: State, tokens: np.ndarray) -> tuple[State, np.ndarray]:
        return {}, np.zeros(len(tokens))

    def finished(self, state: State) -> np.ndarray:
        return np.zeros(1)


class TokenLanguage(Fusion):
    """A model of tokens: every token adds `weight` times its log-probability, and `bonus`."""

    def __init__(self, model: Model, pieces: Pieces, *, weight: float, bonus: float) -> None:
        known = {word: index for index, word in enumerate(model.words)}
        self._ids = np.array([known.get(symbol(piece), known[UNKNOWN]) for piece in pieces.spelled])
        self._model, self._weight, self._bonus, self._end = model, weight, bonus, known[END]

    def begin(self, rows: int) -> State:
        return {"lm": np.full((rows, 1), self._model.begin)}

    def offers(self, state: State, tokens: np.ndarray) -> np.ndarray:
        shape = (*state["lm"].shape, tokens.shape[1])
        states = np.broadcast_to(state["lm"][:, :, None], shape).ravel()
        words = np.broadcast_to(self._ids[tokens][:, None], shape).ravel()
        return (self._weight * self._model.step(states, words)[0] + self._bonus).reshape(shape)

    def extended(self, state: State, tokens: np.ndarray) -> tuple[State, np.ndarray]:
        return {"lm": self._model.step(state["lm"], self._ids[tokens])[1]}, np.zeros(len(tokens))

    def finished(self, state: State) -> np.ndarray:
        states = state["lm"].ravel()
        score, _ = self._model.step(states, np.full(len(states), self._end))
        return self._weight * score.reshape(state["lm"].shape)


class WordLanguage(Fusion):
    """A model of words: every word adds `weight` times its log-probability, `bonus`, and `unknown` if the model has not
    got it; so does the end of the utterance (without a bonus).

    A word is known by a hash of its bytes, so that it counts the same however tokens spell it. While it is being
    spelled, the best unigram among the words that begin like it is credited.
    """

    def __init__(self, model: Model, pieces: Pieces, *, weight: float, bonus: float, unknown: float) -> None:
        pieces.check_words()
        self._model, self._weight, self._bonus, self._unknown = model, weight, bonus, unknown
        words = [word.encode() for word in model.words]
        self._known = Table(np.array([_hash(word) for word in words], np.uint64))
        self._lost, self._end = model.words.index(UNKNOWN), model.words.index(END)
        self._hopes, self._credits = self._unigrams(words)
        self._starts = np.array([piece.startswith(SPACE) for piece in pieces.spelled])
        bare = [piece.removeprefix(SPACE) for piece in pieces.spelled]
        self._spelled = np.array([_hash(piece) for piece in bare], np.uint64)
        self._shifts = np.array([pow(_BASE, len(piece), 2**64) for piece in bare], np.uint64)

    def begin(self, rows: int) -> State:
        state = {"word": np.zeros(rows, np.uint64), "lm": np.full(rows, self._model.begin)}
        state |= self._closing(state["word"], state["lm"])
        return {name: values[:, None] for name, values in (state | {"credit": np.zeros(rows)}).items()}

    def offers(self, state: State, tokens: np.ndarray) -> np.ndarray:
        starts = self._starts[tokens][:, None]
        gain = self._credit(self._spell(state["word"][:, :, None], tokens[:, None])) - state["credit"][:, :, None]
        return gain + np.where(starts, state["close"][:, :, None], 0.0) if starts.any() else gain

    def extended(self, state: State, tokens: np.ndarray) -> tuple[State, np.ndarray]:
        word = self._spell(state["word"], tokens)
        lm = np.where(self._starts[tokens], state["after"], state["lm"])
        return {"word": word, "lm": lm, "credit": self._credit(word), **self._closing(word, lm)}, np.zeros(len(word))

    def _spell(self, word: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Hashes of the words that are being spelled, after one token more."""
        return np.where(self._starts[tokens], np.uint64(0), word) * self._shifts[tokens] + self._spelled[tokens]

    def finished(self, state: State) -> np.ndarray:
        states = state["after"].ravel()
        score, _ = self._model.step(states, np.full(len(states), self._end))
        return state["close"] - state["credit"] + self._weight * score.reshape(state["close"].shape)

    def _closing(self, word: np.ndarray, lm: np.ndarray) -> State:
        """What the end of the word would add, and the state behind it; no word, nothing."""
        places = self._known.find(word)
        known = places >= 0
        score, after = self._model.step(lm, np.where(known, places, self._lost))
        there = word != 0
        close = self._weight * score + self._bonus + np.where(known, 0.0, self._unknown)
        return {"close": np.where(there, close, 0.0), "after": np.where(there, after, lm)}

    def _credit(self, word: np.ndarray) -> np.ndarray:
        return self._credits[self._hopes.find(word)]

    def _unigrams(self, words: Sequence[bytes]) -> tuple[Table, np.ndarray]:
        """All beginnings of words, and the best score under each; of none, 0; last, that of an unknown word."""
        ids = np.arange(len(words))
        scores = self._weight * self._model.step(np.zeros(len(ids), np.int64), ids)[0] + self._bonus
        best: dict[int, float] = {0: 0.0}
        for index, score in zip(ids.tolist(), scores.tolist(), strict=True):
            if index in (self._lost, self._end):
                continue
            beginning = 0
            for byte in words[index]:
                beginning = (beginning * _BASE + byte + 1) & _MASK
                best[beginning] = max(best.get(beginning, -np.inf), score)
        credits = [*best.values(), scores[self._lost] + self._unknown]
        return Table(np.array(list(best), np.uint64)), np.array(credits)


def _hash(text: bytes) -> int:
    """Polynomial hash; that of an empty text is 0, and hash(a + b) = hash(a) * base ** len(b) + hash(b)."""
    found = 0
    for byte in text:
        found = (found * _BASE + byte + 1) & _MASK
    return found
