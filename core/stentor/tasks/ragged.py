"""Ragged reading: text as embeddings that stutter, break off and blur, as what is heard does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.interfaces.backbone import Backbone


class Ragged:
    """Denoising for language models (as in arXiv 1910.13461), over embeddings.

    A pretrained model of full size reads such input anyhow; a small one has to be shown it, or it can read nothing but
    exact rows of its own embedding table, and no linear layer can speak to it.

    Args:
        repeats: a piece lasts 1 to so many positions.
        gaps: share of positions that hold noise alone.
        swaps: share of positions that hold another piece.
        blur: standard deviation of the added noise, in units of the embedding table's.
    """

    def __init__(self, *, repeats: int = 4, gaps: float = 0.08, swaps: float = 0.03, blur: float = 0.3) -> None:
        self.repeats, self.gaps, self.swaps, self.blur = repeats, gaps, swaps, blur

    def __call__(self, backbone: Backbone, rows: Sequence[Sequence[int]], pieces: int) -> tuple[Tensor, list[int]]:
        """Embeddings [M, D] of all `rows` end to end, and how many positions each has.

        Args:
            backbone: embeds.
            rows: ids of each text; an empty one has no position.
            pieces: ids below this may take another's place.
        """
        ids = torch.tensor([i for row in rows for i in row], dtype=torch.int64)
        times = torch.randint(1, self.repeats + 1, ids.shape)
        lengths = [int(part.sum()) for part in torch.split(times, [len(row) for row in rows])]
        ids = ids.repeat_interleave(times)
        chance = torch.rand(ids.shape)
        ids = torch.where(chance < self.swaps, torch.randint(0, pieces, ids.shape), ids)
        embedded = backbone.embed(ids.to(next(backbone.parameters()).device))
        scale = embedded.detach().std()
        gap = (chance > 1 - self.gaps)[:, None].to(embedded.device)
        noise = torch.randn_like(embedded) * scale
        return torch.where(gap, noise, embedded + self.blur * noise), lengths
