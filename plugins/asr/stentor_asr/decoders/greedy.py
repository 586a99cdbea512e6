"""Search through CTC posteriors, frame by frame."""

from __future__ import annotations

import torch
from torch import Tensor

from stentor.interfaces.decoder import Hotwords, Hypothesis, SearchDecoder
from stentor_asr.decoders.timing import timed


class CTCGreedy(SearchDecoder):
    """The best path: the likeliest symbol of every frame, repeats merged, blanks dropped (Graves et al. 2006, 3.2).

    Its score is the log-probability of that one path.
    """

    def search(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        return self._paths(log_probs, lengths)[0]

    def hypotheses(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        *,
        best: int = 1,
        hotwords: Hotwords | None = None,
        beam: int | None = None,
    ) -> list[list[Hypothesis]]:
        self.refuse(hotwords, beam)
        ids, scores = self._paths(log_probs, lengths)
        rows = [[(tuple(row), score)] for row, score in zip(ids, scores, strict=True)]
        return timed(log_probs, lengths, rows)

    def _paths(self, log_probs: Tensor, lengths: Tensor) -> tuple[list[list[int]], list[float]]:
        sums, best = log_probs.max(-1)
        before = torch.nn.functional.pad(best[:, :-1], (1, 0), value=0)
        inside = torch.arange(best.shape[1], device=best.device) < lengths[:, None].to(best.device)
        kept = (best != 0) & (best != before) & inside
        ids = [row[keep].tolist() for row, keep in zip(best, kept, strict=True)]
        return ids, sums.double().masked_fill(~inside, 0.0).sum(1).tolist()
