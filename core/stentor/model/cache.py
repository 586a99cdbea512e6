"""The key-value cache: preallocated, each row with its own length, exact rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 128
"""Positions by which the storage grows: attention on CPUs reads every stored position, so there must not be many more
than are held."""


@dataclass(frozen=True)
class CacheShape:
    """What a cache must hold: decoder layers, key/value heads and the width of a head."""

    layers: int
    heads: int
    head_dim: int


class KeyValueCache:
    """Keys and values of past positions, implementing `stentor.interfaces.backbone.Cache`.

    Row b holds positions 0..held[b]-1; what lies beyond is garbage that no query sees and that the next positions
    overwrite, so `truncate` costs nothing. Keys are stored with positions last, values with positions first: the order
    in which one query per row reads them fastest.

    Attributes:
        capacity: most positions that a row may hold.
        held: positions of each row, as plain numbers, so that no step waits for a device.
        keys: float [layers, B, heads, head_dim, room].
        values: float [layers, B, heads, room, head_dim].
    """

    def __init__(
        self, shape: CacheShape, batch: int, capacity: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.capacity = capacity
        self.held: list[int] = [0] * batch
        self.keys = torch.zeros(shape.layers, batch, shape.heads, shape.head_dim, 0, dtype=dtype, device=device)
        self.values = self.keys.transpose(3, 4)

    @property
    def device(self) -> torch.device:
        return self.keys.device

    @property
    def room(self) -> int:
        """Positions that the storage has at present."""
        return self.values.shape[3]

    @property
    def lengths(self) -> Tensor:
        """int64 [B], positions held by each row."""
        return torch.tensor(self.held, device=self.device)

    @property
    def longest(self) -> int:
        return max(self.held)

    @property
    def even(self) -> bool:
        """Whether all rows hold equally many positions, so that plain slices do."""
        return min(self.held) == max(self.held)

    def reserve(self, counts: Sequence[int], width: int) -> None:
        """Make room for `width` more positions, `counts` of them valid in each row.

        Raises:
            ValueError: when the batch differs or the capacity is exceeded.
        """
        end = self.longest + width
        if len(counts) != len(self.held):
            raise ValueError(f"the cache has {len(self.held)} rows, the inputs have {len(counts)}")
        if end > self.capacity:
            raise ValueError(f"{self.longest} + {width} positions do not fit a cache of capacity {self.capacity}")
        if end > self.room:
            self._grow(min(-(-end // _BLOCK) * _BLOCK, self.capacity))

    def _grow(self, room: int) -> None:
        keys = self.keys.new_zeros(*self.keys.shape[:4], room)
        values = self.values.new_zeros(*self.values.shape[:3], room, self.values.shape[4])
        keys[..., : self.room] = self.keys
        values[..., : self.room, :] = self.values
        self.keys, self.values = keys, values

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values [B, heads, T, head_dim] behind what each row holds, without counting them yet."""
        width = keys.shape[2]
        if self.even:
            span = slice(self.longest, self.longest + width)
            self.keys[layer][..., span] = keys.transpose(2, 3)
            self.values[layer][:, :, span] = values
        else:
            rows = torch.arange(len(self.held), device=self.device)[:, None]
            places = self.next_positions(width)
            self.keys[layer].permute(0, 3, 1, 2)[rows, places] = keys.transpose(1, 2)
            self.values[layer].transpose(1, 2)[rows, places] = values.transpose(1, 2)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """`write`, as the layers of transformers call it.

        Returns:
            The layer's keys and values [B, heads, S, head_dim], S being the longest row with the new positions.
        """
        self.write(layer, keys, values)
        end = self.longest + keys.shape[2]
        return self.keys[layer][..., :end].transpose(2, 3), self.values[layer][:, :, :end]

    def advance(self, counts: Sequence[int]) -> None:
        """Count the newly written positions as held."""
        self.held = [held + count for held, count in zip(self.held, counts, strict=True)]

    def next_positions(self, width: int) -> Tensor:
        """int64 [B, width], the positions of the next `width` inputs of each row."""
        return self.lengths[:, None] + torch.arange(width, device=self.device)

    def visible(self, width: int) -> Tensor:
        """bool [B, width, S]: which keys each of `width` new queries may see, S as `update` returns."""
        return torch.arange(self.longest + width, device=self.device) <= self.next_positions(width)[..., None]

    def truncate(self, lengths: Tensor) -> None:
        """Forget the positions of row b from ``lengths[b]`` on (int64 [B]).

        Raises:
            ValueError: when a row would grow.
        """
        wanted = [int(length) for length in lengths.tolist()]
        if len(wanted) != len(self.held) or any(not 0 <= n <= old for n, old in zip(wanted, self.held, strict=False)):
            raise ValueError(f"cannot truncate rows of lengths {self.held} to {wanted}")
        self.held = wanted

    def select(self, rows: Tensor) -> None:
        """Keep rows `rows` (int64 [B']), in that order."""
        rows = rows.to(self.device)
        self.keys, self.values = self.keys.index_select(1, rows), self.values.index_select(1, rows)
        self.held = [self.held[row] for row in rows.tolist()]
