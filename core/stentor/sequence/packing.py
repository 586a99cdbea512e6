"""Packing: sequences of spans to the tensors that a model eats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.errors import StentorError
from stentor.sequence.spans import Span

CONTINUOUS = -1
"""Stands in `Packed.ids` where a continuous embedding goes."""


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of sequences laid end to end: N positions in all.

    Attributes:
        ids: int64 [N]; `CONTINUOUS` where an embedding goes.
        targets: int64 [N]; the id that the next position holds, or -100 where nothing is to be predicted.
        weights: float32 [N]; loss weight of each target.
        both_ways: int64 [N]; 0, or the number of the both-ways span that the position is in.
        lengths: positions of each sequence, summing to N.
    """

    ids: Tensor
    targets: Tensor
    weights: Tensor
    both_ways: Tensor
    lengths: tuple[int, ...]

    @property
    def continuous(self) -> Tensor:
        """bool [N]: which positions take continuous embeddings, in order."""
        return self.ids == CONTINUOUS

    @property
    def starts(self) -> tuple[int, ...]:
        return tuple(accumulate(self.lengths, initial=0))[:-1]

    def unpack(self, flat: Tensor, value: float = 0) -> Tensor:
        """Sequences of `flat` [N, ...] as rows [B, T, ...], padded on the right with `value`."""
        return pad_sequence(list(torch.split(flat, list(self.lengths))), batch_first=True, padding_value=value)

    def valid(self) -> Tensor:
        """bool [B, T]: which positions of `unpack` are real."""
        lengths = torch.tensor(self.lengths)
        return torch.arange(int(lengths.max()))[None] < lengths[:, None]


def pack(sequences: Sequence[Sequence[Span]]) -> Packed:
    """Lay sequences end to end.

    A target is the next position's id, weighted by the weight of the span that the id belongs to; it never reaches into
    the next sequence.

    Raises:
        StentorError: for an empty batch or an empty sequence.
    """
    if not sequences:
        raise StentorError("there is nothing to pack: the batch has no sequences.")
    lengths = tuple(sum(span.length for span in sequence) for sequence in sequences)
    if not all(lengths):
        raise StentorError(f"sequence {lengths.index(0)} of the batch is empty.")
    spans = [span for sequence in sequences for span in sequence]
    ids = torch.cat([torch.full((s.length,), CONTINUOUS) if s.ids is None else s.ids for s in spans])
    counts = torch.tensor([span.length for span in spans])
    weights = torch.tensor([span.weight for span in spans]).repeat_interleave(counts)
    numbers = torch.tensor([i if span.attention == "both-ways" else 0 for i, span in enumerate(spans, 1)])
    targets, ahead = ids.roll(-1), weights.roll(-1)
    ends = torch.tensor(lengths).cumsum(0) - 1
    ahead[ends] = 0
    return Packed(ids, targets.masked_fill(ahead == 0, -100), ahead, numbers.repeat_interleave(counts), lengths)
