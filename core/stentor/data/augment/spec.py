"""SpecAugment: stretches of time and frequency blanked out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpecAugment(nn.Module):
    """Time and frequency masking (Park et al. 2019, arXiv 1904.08779), in training only; masked values become 0.

    On frames of mean zero a 0 is the mean, as in the paper. Widths and places are drawn for each row by torch's own
    generator; time masks stay inside the valid frames. There is no time warping: the paper found it the least useful.

    Args:
        time_masks: stretches of time per utterance.
        time_width: widest stretch (frames).
        time_share: widest stretch as a share of the utterance, the paper's p; the smaller of the two counts.
        frequency_masks: bands per utterance.
        frequency_width: widest band (features).
    """

    def __init__(
        self,
        *,
        time_masks: int = 2,
        time_width: int = 25,
        time_share: float = 0.15,
        frequency_masks: int = 2,
        frequency_width: int = 15,
    ) -> None:
        super().__init__()
        self.time_masks, self.time_width, self.time_share = time_masks, time_width, time_share
        self.frequency_masks, self.frequency_width = frequency_masks, frequency_width

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Mask frames [B, T, D] of valid `lengths` [B]; the input itself outside training."""
        if not self.training:
            return frames
        widest = (lengths * self.time_share).floor().clamp(max=self.time_width)
        time = _masks(self.time_masks, widest, lengths, frames.shape[1])
        extents = torch.full_like(lengths, frames.shape[2])
        frequency = _masks(self.frequency_masks, extents.clamp(max=self.frequency_width), extents, frames.shape[2])
        return frames.masked_fill(time[:, :, None] | frequency[:, None, :], 0.0)


def _masks(count: int, widest: Tensor, extents: Tensor, size: int) -> Tensor:
    """bool [B, size]: the union of `count` stretches per row, each 0 to `widest` [B] long, inside `extents` [B]."""
    draws = torch.rand(2, len(extents), count, device=extents.device)
    widths = (draws[0] * (widest[:, None] + 1)).floor().minimum(widest[:, None])
    starts = (draws[1] * (extents[:, None] - widths + 1)).floor()
    places = torch.arange(size, device=extents.device)
    inside = (places >= starts[..., None]) & (places < (starts + widths)[..., None])
    return inside.any(dim=1)
