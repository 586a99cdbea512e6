"""Frames and confidences of the tokens of found readings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.interfaces.decoder import Hypothesis
from stentor_asr.alignment import ctc_paths

Scored = Sequence[tuple[tuple[int, ...], float]]
"""Readings of one row, each with its score, best first."""


def timed(log_probs: Tensor, lengths: Tensor, rows: Sequence[Scored]) -> list[list[Hypothesis]]:
    """Hypotheses whose tokens lie on their best path through the posteriors (Graves et al., 2006, section 4.1).

    A token's confidence is the geometric mean of its posterior over its frames.

    Args:
        log_probs: float [B, T, V].
        lengths: int64 [B].
        rows: the readings of each row.
    """
    owners = [row for row, readings in enumerate(rows) for _ in readings]
    targets = [ids for readings in rows for ids, _ in readings]
    single = owners == list(range(len(rows)))
    given = log_probs if single else log_probs.cpu()[torch.tensor(owners, dtype=torch.int64)]
    sizes = lengths.tolist()
    spans = iter(ctc_paths(given, [sizes[row] for row in owners], targets))
    return [[_hypothesis(ids, score, next(spans)) for ids, score in readings] for readings in rows]


def _hypothesis(ids: tuple[int, ...], score: float, spans: Sequence) -> Hypothesis:
    frames = tuple((span.start, span.end) for span in spans)
    return Hypothesis(ids, score, frames, tuple(min(1.0, math.exp(span.score)) for span in spans))
