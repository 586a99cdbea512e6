"""CTC prefix beam search (Graves & Jaitly 2014; Hannun et al., arXiv 1408.2873), vectorised over rows and prefixes.

A prefix is known by a hash of its tokens, so that the same prefix reached in two ways is one. With `floor` minus
infinity, `most` the vocabulary and a beam that holds every prefix the result is exact: scores are sums over all paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stentor_asr.decoders.frames import Frames
from stentor_asr.decoders.fusion import Fusion, State

_NEVER = -np.inf
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_DEAD, _ORPHAN = np.uint64(1), np.uint64(2)
_CORE = ("hash", "parent", "last", "blank", "token", "extra", "node")
Found = list[tuple[tuple[int, ...], float]]


class PrefixSearch:
    """One search through a batch.

    State arrays [rows, k] over the prefixes of each row: ``hash`` and ``parent`` (of the prefix without its last
    token), ``last`` token, log-probability of all paths that end in a ``blank`` or in the last ``token``, ``extra``
    score of the fusions, ``node`` in the tree of prefixes.
    """

    def __init__(self, frames: Frames, beam: int, fusions: Sequence[Fusion]) -> None:
        self.frames, self.beam, self.fusions = frames, beam, fusions
        self._above, self._tokens, self._nodes = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], 1

    def run(self, best: int) -> list[Found]:
        """Ids and scores of the best readings of each row of the batch."""
        frames, rows = self.frames, len(self.frames.order)
        state, ended = self._begin(rows), []
        for step in range(len(frames.at)):
            going = int(np.searchsorted(-frames.counts, -step, side="left"))
            ended.append(_cut(state, slice(going, None)))
            state = self._step(_cut(state, slice(0, going)), step)
        ended.append(state)
        found: list[Found] = [[] for _ in range(rows)]
        tree = np.concatenate(self._above), np.concatenate(self._tokens)
        places = iter(range(rows - 1, -1, -1))
        for part in ended:
            for row in range(len(part["last"]) - 1, -1, -1):
                place = next(places)
                found[frames.order[place]] = self._finish(_cut(part, slice(row, row + 1)), place, best, tree)
        return found

    def _begin(self, rows: int) -> State:
        whole = {
            "hash": np.full((rows, 1), 3, np.uint64),
            "parent": np.full((rows, 1), _ORPHAN, np.uint64),
            "last": np.zeros((rows, 1), np.int64),
            "blank": np.zeros((rows, 1)),
            "token": np.full((rows, 1), _NEVER),
            "extra": np.zeros((rows, 1)),
            "node": np.zeros((rows, 1), np.int64),
        }
        for fusion in self.fusions:
            whole |= fusion.begin(rows)
        return whole

    def _step(self, state: State, step: int) -> State:
        frames, (n, k) = self.frames, state["last"].shape
        width = int(frames.widths[step])
        rows, at = np.arange(n)[:, None], frames.at[step, :n, None]
        tokens, scores = frames.tokens[step, :n, :width], frames.scores[step, :n, :width].astype(np.float64)
        if frames.passed[step, :n].any():
            self._pass_over(state, step)
        blank, token, last = state["blank"], state["token"], state["last"]
        total = np.logaddexp(blank, token)
        again = frames.posteriors[rows, at, last]
        grown = np.where(last[:, :, None] == tokens[:, None], blank[:, :, None], total[:, :, None]) + scores[:, None]
        stayed = {"blank": total + frames.posteriors[rows[:, 0], at[:, 0], 0][:, None], "token": token + again}
        self._merge(state, grown, stayed, again, tokens)
        kept = np.logaddexp(stayed["blank"], stayed["token"])
        ranked = np.empty((n, k + k * width))
        np.add(kept, state["extra"], out=ranked[:, :k])
        offered = grown + state["extra"][:, :, None]
        for fusion in self.fusions:
            offered += fusion.offers(state, tokens)
        ranked[:, k:] = offered.reshape(n, -1)
        return self._select(state, stayed, grown, ranked, tokens)

    def _pass_over(self, state: State, step: int) -> None:
        """Blanks end every prefix, without a search."""
        n = len(state["last"])
        passed, quiet = self.frames.passed[step, :n, None], self.frames.quiet[step, :n, None]
        total = np.logaddexp(state["blank"], state["token"]) + quiet
        state["blank"] = np.where(passed, total, state["blank"])
        state["token"] = np.where(passed, _NEVER, state["token"])

    @staticmethod
    def _merge(state: State, grown: np.ndarray, stayed: State, again: np.ndarray, tokens: np.ndarray) -> None:
        """A prefix that grows into another one of the beam adds to that one's paths."""
        last = state["last"]
        row, child, parent = np.nonzero(state["parent"][:, :, None] == state["hash"][:, None, :])
        if not len(row):
            return
        symbol = last[row, child]
        blank, ends, token = state["blank"][row, parent], state["token"][row, parent], stayed["token"]
        paths = np.where(last[row, parent] == symbol, blank, np.logaddexp(blank, ends))
        token[row, child] = np.logaddexp(token[row, child], paths + again[row, child])
        which, column = np.nonzero(tokens[row] == symbol[:, None])
        grown[row[which], parent[which], column] = _NEVER

    def _select(self, state: State, stayed: State, grown: np.ndarray, ranked: np.ndarray, tokens: np.ndarray) -> State:
        (n, k), width = state["last"].shape, tokens.shape[1]
        size = min(self.beam, ranked.shape[1])
        ranked[:, k:][~np.isfinite(grown.reshape(n, -1))] = _NEVER
        chosen = np.argpartition(-ranked, size - 1, axis=1)[:, :size] if size < ranked.shape[1] else None
        if chosen is None:
            chosen = np.broadcast_to(np.arange(size), (n, size))
        rows = np.arange(n)[:, None]
        grew = chosen >= k
        source = np.where(grew, (chosen - k) // width, chosen)
        after = {name: values[rows, source] for name, values in state.items()}
        score = ranked[rows, chosen]
        after["blank"] = np.where(grew, _NEVER, stayed["blank"][rows, source])
        after["token"] = np.where(grew, grown.reshape(n, -1)[rows, np.maximum(chosen - k, 0)],
                                  stayed["token"][rows, source])  # fmt: skip
        row, place = np.nonzero(grew & np.isfinite(score))
        self._grow(after, row, place, tokens[row, (chosen[row, place] - k) % width], score[row, place])
        dead = ~np.isfinite(score)
        if dead.any():
            after["hash"][dead], after["parent"][dead], after["blank"][dead] = _DEAD, _ORPHAN, _NEVER
            after["token"][dead] = _NEVER
        return after

    def _grow(self, after: State, row: np.ndarray, place: np.ndarray, token: np.ndarray, score: np.ndarray) -> None:
        """Write the new token into the arrays of those that grew."""
        before = {name: values[row, place] for name, values in after.items()}
        after["extra"][row, place] = score - before["token"]
        after["parent"][row, place] = before["hash"]
        after["hash"][row, place] = (before["hash"] ^ (token.astype(np.uint64) + np.uint64(7))) * _PRIME
        after["last"][row, place] = token
        after["node"][row, place] = self._nodes + np.arange(len(token))
        self._nodes += len(token)
        self._above.append(before["node"])
        self._tokens.append(token)
        for fusion in self.fusions:
            moved, more = fusion.extended({name: before[name] for name in before if name not in _CORE}, token)
            after["extra"][row, place] += more
            for name, values in moved.items():
                after[name][row, place] = values

    def _finish(self, state: State, place: int, best: int, tree: tuple[np.ndarray, np.ndarray]) -> Found:
        paths = np.logaddexp(state["blank"], state["token"]) + self.frames.quiet[self.frames.counts[place], place]
        total = paths + state["extra"]
        for fusion in self.fusions:
            total = total + fusion.finished(state)
        order = np.argsort(-total[0], kind="stable")[:best]
        alive = [i for i in order if np.isfinite(total[0, i])]
        found = [(self._ids(int(state["node"][0, i]), *tree), float(total[0, i])) for i in alive]
        return found or [((), _NEVER)]

    @staticmethod
    def _ids(node: int, above: np.ndarray, tokens: np.ndarray) -> tuple[int, ...]:
        ids = []
        while node:
            ids.append(int(tokens[node]))
            node = int(above[node])
        return tuple(reversed(ids))


def _cut(state: State, rows: slice) -> State:
    return {name: values[rows] for name, values in state.items()}
