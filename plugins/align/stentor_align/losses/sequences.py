"""From numbers per token to numbers per response."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def padded(flat: Tensor, lengths: Sequence[int], value: float = 0.0) -> Tensor:
    """Responses that lie end to end, [N, ...], as rows [B, T, ...], padded on the right with `value`."""
    return pad_sequence(list(torch.split(flat, list(lengths))), batch_first=True, padding_value=value)


def valid(lengths: Sequence[int], device: torch.device | None = None) -> Tensor:
    """bool [B, T]: which positions of `padded` are real."""
    counts = torch.tensor(list(lengths), device=device)
    return torch.arange(max(lengths, default=0), device=device)[None] < counts[:, None]


def total(values: Tensor, mask: Tensor) -> Tensor:
    """Sums float [B] of float [B, T] where bool `mask` [B, T] holds; the gradient elsewhere is exactly zero."""
    return values.masked_fill(~mask, 0.0).sum(-1)


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """Means float [B] of float [B, T] where bool `mask` [B, T] holds, 0 for a row where it never does."""
    return total(values, mask) / mask.sum(-1).clamp(min=1)


def mean_of_all(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over all positions [B, T] of the batch where bool `mask` [B, T] holds, 0 if it never does."""
    return values.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def whitened(values: Tensor, mask: Tensor, *, shift: bool = True) -> Tensor:
    """Float [B, T] with mean 0 (or its own, without `shift`) and variance 1 over the masked positions, 0 elsewhere.

    As PPO implementations do with advantages (Andrychowicz et al. 2021, arXiv 2006.05990).
    """
    centre = mean_of_all(values, mask)
    deviation = mean_of_all((values - centre) ** 2, mask).sqrt()
    scaled = (values - centre) / (deviation + 1e-8)
    return (scaled if shift else scaled + centre).masked_fill(~mask, 0.0)
