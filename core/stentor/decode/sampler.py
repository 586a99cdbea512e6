"""Chooses each row's next token from its logits."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError


class Sampler:
    """Greedy or random choice of tokens, one independent random stream per row.

    A row draws one uniform number per token and inverts the cumulative distribution with it, so that its choice depends
    on neither the other rows of the batch nor the device.
    """

    def __init__(self, settings: GenerationSettings, rows: int) -> None:
        self.settings = settings
        seeds = settings.seeds or range(settings.seed, settings.seed + rows)
        if len(seeds) != rows:
            raise StentorError(f"{rows} rows need a seed each, not {len(seeds)}.", path="seeds")
        self.streams = [random.Random(seed) for seed in seeds]

    def choose(self, logits: Tensor, rows: Sequence[int], history: Sequence[Sequence[int]]) -> Tensor:
        """Next tokens int64 [B].

        Args:
            logits: float [B, V], -inf where the grammar forbids a token.
            rows: which request each row of `logits` belongs to.
            history: tokens generated so far by each request.
        """
        if self.settings.repetition_penalty != 1:
            logits = self._penalised(logits, [history[row] for row in rows])
        chosen = logits.argmax(-1) if self.settings.temperature == 0 else self._sampled(logits, rows)
        return self._guarded(chosen, logits, rows, history) if self.settings.repetition_window else chosen

    def _guarded(self, chosen: Tensor, logits: Tensor, rows: Sequence[int], history: Sequence[Sequence[int]]) -> Tensor:
        """What was chosen, drawn anew where it recurs too often."""
        window, share = self.settings.repetition_window, self.settings.repetition_share
        pairs = zip(chosen.tolist(), rows, strict=True)
        often = [
            place for place, (token, row) in enumerate(pairs) if history[row][-window:].count(token) > share * window
        ]
        if often:
            again = logits[often].double() / (self.settings.temperature or 1.0)
            chosen[often] = self._drawn(again.softmax(-1), [rows[place] for place in often])
        return chosen

    def _penalised(self, logits: Tensor, history: Sequence[Sequence[int]]) -> Tensor:
        logits = logits.clone()
        for row, tokens in zip(logits, history, strict=True):
            seen = torch.tensor(sorted(set(tokens)), dtype=torch.long, device=logits.device)
            penalty = self.settings.repetition_penalty
            row[seen] = torch.where(row[seen] > 0, row[seen] / penalty, row[seen] * penalty)
        return logits

    def _sampled(self, logits: Tensor, rows: Sequence[int]) -> Tensor:
        settings, size = self.settings, logits.shape[-1]
        scaled = logits.double() / settings.temperature
        if not settings.top_k and settings.top_p == 1:  # nothing is cut off, so nothing has to be sorted
            return self._drawn(scaled.softmax(-1), rows)
        best, ids = torch.topk(scaled, min(settings.top_k or size, size))
        probabilities = best.softmax(-1)
        total = probabilities.cumsum(-1)
        # a token stays while those before it have not yet gathered top_p
        probabilities = probabilities.masked_fill(total - probabilities >= settings.top_p, 0)
        return ids.gather(-1, self._drawn(probabilities, rows)[:, None])[:, 0]

    def _drawn(self, probabilities: Tensor, rows: Sequence[int]) -> Tensor:
        """One place per row of `probabilities` [B, K], which need not sum to 1; never one of probability 0."""
        total = probabilities.cumsum(-1)
        drawn = torch.tensor([self.streams[row].random() for row in rows], dtype=total.dtype, device=total.device)
        index = torch.searchsorted(total, (drawn * total[:, -1])[:, None], right=True)
        last = probabilities.shape[-1] - 1 - (probabilities > 0).flip(-1).int().argmax(-1, keepdim=True)
        return torch.minimum(index, last)[:, 0]
