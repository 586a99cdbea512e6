"""Search through CTC posteriors."""

from __future__ import annotations

import torch
from torch import Tensor

from stentor.interfaces.decoder import SearchDecoder


class CTCGreedy(SearchDecoder):
    """The best path: the likeliest symbol of every frame, repeats merged, blanks dropped (Graves et al. 2006, 3.2)."""

    def search(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        best = log_probs.argmax(-1)
        before = torch.nn.functional.pad(best[:, :-1], (1, 0), value=0)
        inside = torch.arange(best.shape[1], device=best.device) < lengths[:, None].to(best.device)
        kept = (best != 0) & (best != before) & inside
        return [row[keep].tolist() for row, keep in zip(best, kept, strict=True)]
