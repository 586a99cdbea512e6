"""Hotwords: phrases to listen for, followed byte by byte through an Aho-Corasick automaton (1975, CACM 18)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from stentor.errors import StentorError
from stentor_asr.decoders.fusion import Fusion, State
from stentor_asr.decoders.pieces import SPACE, Pieces

_SPACE = SPACE[0]


class Automaton:
    """All phrases of one request, each between word boundaries, in dense tables over states and bytes.

    Attributes:
        next: int32 [states, 256].
        done: boosts of the phrases that end with this state [states].
        credit: share of the boost of the longest phrase that was begun [states].
        start: state before the first word.
    """

    def __init__(self, phrases: Mapping[bytes, float]) -> None:
        children: list[dict[int, int]] = [{}]
        credit, done = [0.0], [0.0]
        for phrase, boost in phrases.items():
            state = 0
            for depth, byte in enumerate(SPACE + phrase + SPACE):
                if byte not in children[state]:
                    children[state][byte] = len(children)
                    children.append({})
                    credit.append(0.0)
                    done.append(0.0)
                state = children[state][byte]
                if depth <= len(phrase):
                    share = boost * depth / (len(phrase) + 1)
                    credit[state] = max(credit[state], share) if boost > 0 else min(credit[state], share)
            done[state] += boost
        self.credit, self.done = np.array(credit), np.array(done)
        self.next = self._links(children)
        self.start = int(self.next[0, _SPACE])

    def _links(self, children: list[dict[int, int]]) -> np.ndarray:
        following = np.zeros((len(children), 256), np.int32)
        fallen = [0] * len(children)
        queue = deque([0])
        spaced = np.zeros(len(children), bool)
        while queue:
            state = queue.popleft()
            above = fallen[state]
            if state:
                following[state] = following[above]
                self.done[state] += self.done[above]
                # A phrase that ended may have begun another: "new york " goes on in " york city".
                self.credit[state] = self.credit[state] or self.credit[above]
            for byte, child in children[state].items():
                fallen[child] = int(following[above, byte]) if state else 0
                spaced[child] = byte == _SPACE
                following[state, byte] = child
                queue.append(child)
        # Several spaces are as one; the loop pays nothing, see `Hotwords._walk`.
        following[spaced, _SPACE] = np.flatnonzero(spaced)
        return following


class Hotwords(Fusion):
    """Boosts for phrases, other ones for every row.

    A whole phrase between word boundaries adds its boost each time it occurs. While it is being spelled, the share of
    the boost that was spelled is lent, and taken back when the prefix goes another way.

    Args:
        pieces: spellings of the indices.
        rows: phrase -> boost for each row.

    Raises:
        StentorError: for a phrase that cannot be spelled, or a boost that is no finite number.
    """

    def __init__(self, pieces: Pieces, rows: Sequence[Mapping[str, float]]) -> None:
        distinct: dict[tuple[tuple[str, float], ...], int] = {}
        owners = [distinct.setdefault(tuple(sorted(row.items())), len(distinct)) for row in rows]
        automata = [Automaton(_checked(pieces, dict(phrases))) for phrases in distinct]
        offsets = np.cumsum([0, *(len(one.done) for one in automata)])
        self._next = np.concatenate([one.next + offset for one, offset in zip(automata, offsets, strict=False)])
        self._done = np.concatenate([one.done for one in automata])
        self._credit = np.concatenate([one.credit for one in automata])
        self._starts = np.array([automata[owner].start + offsets[owner] for owner in owners])
        self._bytes = np.full((len(pieces.spelled), max(map(len, pieces.spelled))), -1, np.int16)
        for row, piece in zip(self._bytes, pieces.spelled, strict=True):
            row[: len(piece)] = list(piece)

    def begin(self, rows: int) -> State:
        return {"hot": self._starts[:rows, None]}

    def offers(self, state: State, tokens: np.ndarray) -> np.ndarray:
        return self._walk(state["hot"][:, :, None], tokens[:, None, :])[1]

    def extended(self, state: State, tokens: np.ndarray) -> tuple[State, np.ndarray]:
        return {"hot": self._walk(state["hot"], tokens)[0]}, np.zeros(len(tokens))

    def finished(self, state: State) -> np.ndarray:
        at = state["hot"]
        after = self._next[at, _SPACE]
        return np.where(after != at, self._done[after], 0.0) - self._credit[at]

    def _walk(self, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States after the bytes of each token, and what that pays: whole phrases, and the change of credit."""
        shape = np.broadcast_shapes(states.shape, tokens.shape)
        at, gain = np.broadcast_to(states, shape), -np.broadcast_to(self._credit[states], shape)
        bytes_ = self._bytes[tokens]
        for place in range(bytes_.shape[-1]):
            byte = bytes_[..., place]
            if (byte < 0).all():
                break
            moved = np.where(byte >= 0, self._next[at, byte], at)
            gain = gain + np.where(moved != at, self._done[moved], 0.0)
            at = moved
        return at, gain + self._credit[at]


def _checked(pieces: Pieces, phrases: Mapping[str, float]) -> dict[bytes, float]:
    found: dict[bytes, float] = {}
    for phrase, boost in phrases.items():
        if not math.isfinite(boost):
            raise StentorError("its boost must be a finite number.", path=f"hotwords.{phrase}", value=boost)
        spelled = pieces.normalised(phrase)
        found[spelled] = found.get(spelled, 0.0) + boost
    return found
