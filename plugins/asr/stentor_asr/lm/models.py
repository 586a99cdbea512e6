"""Language models from files: ARPA, read here, or binary ones of KenLM, asked through its own library."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.extras import require
from stentor_asr.lm import arpa
from stentor_asr.lm.arpa import UNKNOWN
from stentor_asr.lm.automaton import Model, NGram

_BINARY = b"mmap lm "
_LN10 = float(np.log(10.0))


def load(path: str | Path) -> Model:
    """A model from a file; its first bytes decide what it is.

    Raises:
        StentorError: when the file cannot be read, or is binary and KenLM is not installed.
    """
    if _is_binary(path):
        return KenLM(path)
    try:
        return NGram(arpa.read(path))
    except ValueError as cause:
        raise StentorError(f"the language model cannot be used: {cause}.", path=str(path)) from cause


def words(path: str | Path) -> list[str]:
    """The words of a model, without the beginning, end and unknown that stand for none; raises as `load` does."""
    found = _words(Path(path)) if _is_binary(path) else arpa.read(path).words
    return [word for word in found if word not in (arpa.BEGIN, arpa.END, UNKNOWN)]


def _is_binary(path: str | Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_BINARY)) == _BINARY
    except OSError as cause:
        raise StentorError(f"the language model cannot be read: {cause.strerror}.", path=str(path)) from cause


class KenLM:
    """A binary model of KenLM; states are numbered as they come up.

    Args:
        path: made by ``build_binary``, with the words in it (its default).
    """

    def __init__(self, path: str | Path) -> None:
        self._library = require("kenlm", "kenlm", distribution="stentor-asr")
        self._model = self._library.Model(str(path))
        self.words = _words(Path(path))
        self._states: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._known: dict[tuple[int, int], tuple[float, int]] = {}
        state = self._library.State()
        self._model.NullContextWrite(state)
        self._number(state)  # 0 is the empty context, as in `NGram`
        state = self._library.State()
        self._model.BeginSentenceWrite(state)
        self.begin = self._number(state)

    def step(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Model`."""
        pairs = list(zip(states.tolist(), words.tolist(), strict=True))
        for pair in set(pairs) - self._known.keys():
            after = self._library.State()
            score = self._model.BaseScore(self._states[pair[0]], self.words[pair[1]], after)
            self._known[pair] = (score * _LN10, self._number(after))
        found = [self._known[pair] for pair in pairs]
        return np.array([score for score, _ in found]), np.array([after for _, after in found], np.int64)

    def _number(self, state: Any) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self._states)
            self._states.append(state)
        return self._numbers[state]


def _words(path: Path) -> list[str]:
    """The words stand at the end of the file, each with a zero byte behind it, ``<unk>`` first."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.rfind(UNKNOWN.encode() + b"\0")
        listed = content[at:] if at >= 0 else b""
    if not listed:
        raise StentorError("the binary language model does not hold its words.", path=str(path),
                           suggestion="Give the ARPA file it was made of.")  # fmt: skip
    return [word.decode(errors="replace") for word in listed.rstrip(b"\0").split(b"\0")]
