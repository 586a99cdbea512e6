"""A hash table of 64-bit keys that is asked about many of them at once."""

from __future__ import annotations

import numpy as np

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SPARSENESS = 8


class Table:
    """Open addressing with linear probing, in arrays; what is looked up costs about one access, however many keys.

    Args:
        keys: uint64 or non-negative int64 [N], each once.
    """

    def __init__(self, keys: np.ndarray) -> None:
        bits = max(4, int(np.ceil(np.log2(_SPARSENESS * max(1, len(keys))))))
        self._shift, self._mask = np.uint64(64 - bits), 2**bits - 1
        self._keys, self._places = np.zeros(2**bits, np.uint64), np.full(2**bits, -1, np.int64)
        left, given = np.arange(len(keys)), keys.astype(np.uint64)
        slots = self._slots(given)
        while len(left):
            free = self._places[slots[left]] < 0
            mine = left[free]
            # Of several keys for one free slot the last one stays; the others go on to the next.
            self._places[slots[mine]] = mine
            left = left[self._places[slots[left]] != left]
            slots[left] = (slots[left] + 1) & self._mask
        self._keys[slots] = given

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Where each key [...] stands among those given to the constructor; -1 for others."""
        keys = keys.astype(np.uint64, copy=False)
        slots = self._slots(keys)
        found = self._places[slots]
        wrong = (self._keys[slots] != keys) & (found >= 0)
        if wrong.any():
            found[wrong] = self._further(keys[wrong], slots[wrong])
        return found

    def _further(self, keys: np.ndarray, slots: np.ndarray) -> np.ndarray:
        found, left = np.full(len(keys), -1, np.int64), np.arange(len(keys))
        while len(left):
            slots = (slots + 1) & self._mask
            places = self._places[slots]
            right = (places >= 0) & (self._keys[slots] == keys)
            found[left[right]] = places[right]
            on = (places >= 0) & ~right
            left, keys, slots = left[on], keys[on], slots[on]
        return found

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        return ((keys * _SPREAD) >> self._shift).astype(np.int64)
