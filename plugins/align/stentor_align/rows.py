"""Batches from the loader as single rows, and back: what a reward that hears or reads the prompt anew is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Row = dict[str, Any]
_LENGTHS = {"audio": "audio_lengths", "frames": "frame_lengths"}
"""What is padded in a batch, and where its lengths stand."""


def split(batch: Mapping[str, Any]) -> list[Row]:
    """Every row of a batch as a batch of one, without its padding."""
    count = len(batch["ids"])
    kept = [key for key, value in batch.items() if isinstance(value, list | Tensor) and len(value) == count]
    return [{key: _one(batch, key, row) for key in kept} for row in range(count)]


def _one(batch: Mapping[str, Any], key: str, row: int) -> Any:
    value = batch[key][row : row + 1]
    lengths = batch.get(_LENGTHS.get(key, ""))
    return value if lengths is None else value[:, : int(lengths[row])]


def placed(batch: Mapping[str, Any], device: torch.device | str) -> Row:
    """A batch whose tensors lie on `device`."""
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}


def joined(rows: Sequence[Row]) -> Row:
    """One batch of many: lists end to end, what is padded padded anew."""
    found: Row = {}
    for key in rows[0] if rows else ():
        values = [row[key] for row in rows]
        if not isinstance(values[0], Tensor):
            found[key] = [one for value in values for one in value]
        elif key in _LENGTHS:
            found[key] = pad_sequence([value[0] for value in values], batch_first=True)
        else:
            found[key] = torch.cat(values)
    return found
