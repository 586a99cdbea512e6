"""The frames that a prefix search has to look at, and the symbols worth trying in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """Searched frames of a batch, rows with many of them first.

    Attributes:
        order: the row of the batch at each place [B].
        counts: searched frames of each place [B].
        posteriors: float32 [B, T, V], by place.
        at: index in T of each searched frame [S, B].
        tokens: symbols to try, likeliest first [S, B, C].
        scores: their log-probabilities; minus infinity for those below the floor [S, B, C].
        widths: how many columns of `tokens` any row needs [S].
        quiet: log-probability of the blanks passed over just before [S + 1, B]; behind a row's last searched frame,
            those at its end.
        passed: whether there are any [S + 1, B].
    """

    order: np.ndarray
    counts: np.ndarray
    posteriors: np.ndarray
    at: np.ndarray
    tokens: np.ndarray
    scores: np.ndarray
    widths: np.ndarray
    quiet: np.ndarray
    passed: np.ndarray

    @classmethod
    def of(cls, log_probs: Tensor, lengths: Tensor, floor: float, most: int) -> Frames:
        """Choose frames and symbols.

        Args:
            log_probs: float [B, T, V].
            lengths: int64 [B].
            floor: symbols of a lower log-probability are not tried, and frames without others but the blank are passed
                over.
            most: symbols to try in one frame.
        """
        given, sizes = log_probs.detach().float().cpu(), lengths.cpu()
        most = min(most, given.shape[2] - 1)
        best, symbols = given[:, :, 1:].topk(most, dim=2)
        scores = best.masked_fill(best < floor, -torch.inf).numpy()
        inside = (torch.arange(given.shape[1]) < sizes[:, None]).numpy()
        searched = inside & np.isfinite(scores[:, :, 0])
        order = np.argsort(-searched.sum(1), kind="stable")
        searched, counts = searched[order], searched.sum(1)[order]
        steps = int(counts.max(initial=0))
        at = np.argsort(~searched, axis=1, kind="stable")[:, :steps].T
        blanks = np.where((inside[order] & ~searched), given[:, :, 0].numpy()[order], 0.0)
        quiet, passed = _gaps(blanks, inside[order] & ~searched, searched, steps)
        rows = np.arange(len(order))
        tried = scores[order][rows, at]
        tried[np.arange(steps)[:, None] >= counts] = -np.inf
        return cls(
            order,
            counts,
            given.numpy()[order],
            at,
            symbols.numpy()[order][rows, at] + 1,
            tried,
            np.isfinite(tried).sum(2).max(1, initial=1),
            quiet,
            passed,
        )


def _gaps(blanks: np.ndarray, silent: np.ndarray, searched: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the blanks before each searched frame [steps + 1, B], and whether there are any."""
    rows = len(blanks)
    owner = np.cumsum(searched, axis=1) - searched  # number of searched frames before each frame
    places = (owner + np.arange(rows)[:, None] * (steps + 1)).ravel()
    size = rows * (steps + 1)
    sums = np.bincount(places, blanks.ravel(), minlength=size).reshape(rows, steps + 1)
    counts = np.bincount(places, silent.ravel(), minlength=size).reshape(rows, steps + 1)
    return sums.T, counts.T > 0
