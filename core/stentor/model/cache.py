"""The key-value cache: preallocated, each row with its own length, exact rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CacheShape:
    """What a cache must hold: decoder layers, key/value heads and the width of a head."""

    layers: int
    heads: int
    head_dim: int


class KeyValueCache:
    """Keys and values of past positions, implementing `stentor.interfaces.backbone.Cache`.

    Row b holds positions 0..lengths[b]-1; what lies beyond is garbage that no query sees and that the next positions
    overwrite, so `truncate` costs nothing.

    Attributes:
        held: positions of each row, as plain numbers, so that no step waits for a device.
        storage: float [layers, 2, B, heads, capacity, head_dim], keys and values.
    """

    def __init__(
        self, shape: CacheShape, batch: int, capacity: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.shape = shape
        self.capacity = capacity
        self.held: list[int] = [0] * batch
        size = (shape.layers, 2, batch, shape.heads, capacity, shape.head_dim)
        self.storage = torch.zeros(size, dtype=dtype, device=device)
        self._bind()

    def _bind(self) -> None:
        layers = self.storage.unbind(0)
        self.keys: list[Tensor] = [layer[0] for layer in layers]
        self.values: list[Tensor] = [layer[1] for layer in layers]

    @property
    def lengths(self) -> Tensor:
        """int64 [B], positions held by each row."""
        return torch.tensor(self.held, device=self.storage.device)

    @property
    def longest(self) -> int:
        return max(self.held)

    @property
    def even(self) -> bool:
        """Whether all rows hold equally many positions, so that plain slices do."""
        return min(self.held) == max(self.held)

    def reserve(self, counts: Sequence[int], width: int) -> None:
        """Check that `width` more positions fit; `counts` of them will be valid in each row.

        Raises:
            ValueError: when the batch differs or the capacity is exceeded.
        """
        if len(counts) != len(self.held):
            raise ValueError(f"the cache has {len(self.held)} rows, the inputs have {len(counts)}")
        if self.longest + width > self.capacity:
            raise ValueError(f"{self.longest} + {width} positions do not fit a cache of capacity {self.capacity}")

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values [B, heads, T, head_dim] behind what each row holds, without counting them yet.

        Returns:
            The layer's keys and values [B, heads, S, head_dim], S being the longest row with the new positions.
        """
        width, end = keys.shape[2], self.longest + keys.shape[2]
        for store, new in ((self.keys[layer], keys), (self.values[layer], values)):
            if self.even:
                store[:, :, end - width : end] = new
            else:
                for row, start in enumerate(self.held):
                    store[row, :, start : start + width] = new[row]
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """`write` under the name by which the layers of transformers call it."""
        return self.write(layer, keys, values)

    def advance(self, counts: Sequence[int]) -> None:
        """Count the newly written positions as held."""
        self.held = [held + count for held, count in zip(self.held, counts, strict=True)]

    def visible(self, width: int) -> Tensor:
        """bool [B, width, S]: which keys each of `width` new queries may see, S as `write` returns."""
        starts = self.lengths
        last = starts[:, None] + torch.arange(width, device=starts.device)
        return torch.arange(self.longest + width, device=starts.device) <= last[..., None]

    def truncate(self, lengths: Tensor) -> None:
        """Forget the positions of row b from ``lengths[b]`` on (int64 [B]).

        Raises:
            ValueError: when a row would grow.
        """
        wanted = [int(length) for length in lengths.tolist()]
        if len(wanted) != len(self.held) or any(
            new > old or new < 0 for new, old in zip(wanted, self.held, strict=False)
        ):
            raise ValueError(f"cannot truncate rows of lengths {self.held} to {wanted}")
        self.held = wanted

    def select(self, rows: Tensor) -> None:
        """Keep rows `rows` (int64 [B']), in that order."""
        longest = self.longest
        kept = self.storage.new_zeros((*self.storage.shape[:2], len(rows), *self.storage.shape[3:]))
        kept[..., :longest, :] = self.storage[..., :longest, :].index_select(2, rows.to(self.storage.device))
        self.storage, self.held = kept, [self.held[row] for row in rows.tolist()]
        self._bind()
