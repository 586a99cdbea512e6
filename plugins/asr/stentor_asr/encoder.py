"""The conformer as an encoder: waveform to log-mel features to frames."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from stentor.config import ranges
from stentor.data.augment.spec import SpecAugment
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor_asr.conformer import Block, Subsampling, rotary_angles, within
from stentor_asr.features import FRAME_RATE, SAMPLE_RATE, LogMel

_STRIDES = {4: (2, 2), 6: (2, 3), 8: (2, 2, 2)}


class Conformer(Encoder):
    """Log-mel features, SpecAugment while training, convolutional subsampling, conformer blocks.

    Method: Gulati et al. 2020, arXiv 2005.08100, with rotary positions, and layer norm in place of batch norm.

    Args:
        bands: mel bands.
        dim: width; a multiple of ``2 * heads``.
        layers: number of blocks.
        heads: attention heads.
        kernel: frames that the depthwise convolution sees; odd.
        expansion: width of the feed-forward layers as a multiple of `dim`.
        subsampling: feature frames (100 per second) per output frame.
        dropout: in every layer.
        time_masks: SpecAugment's stretches of time per utterance.
        time_share: the widest of them, as a share of the utterance.
        frequency_masks: SpecAugment's bands per utterance.
        frequency_width: the widest of them (mel bands).
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        *,
        bands: int = 80,
        dim: int = 144,
        layers: int = 4,
        heads: int = 4,
        kernel: int = 15,
        expansion: int = 4,
        subsampling: Literal[4, 6, 8] = 4,
        dropout: float = 0.1,
        time_masks: int = 2,
        time_share: float = 0.15,
        frequency_masks: int = 2,
        frequency_width: int = 15,
    ) -> None:
        super().__init__()
        self.spec(dim=dim, heads=heads, kernel=kernel, subsampling=subsampling)
        self.dim, self.heads, self.frame_rate = dim, heads, FRAME_RATE / subsampling
        self.features = LogMel(bands)
        self.augment = SpecAugment(
            time_masks=time_masks,
            time_width=10_000,
            time_share=time_share,
            frequency_masks=frequency_masks,
            frequency_width=frequency_width,
        )
        self.subsampling = Subsampling(bands, dim, _STRIDES[subsampling])
        self.blocks = nn.ModuleList(Block(dim, heads, kernel, expansion, dropout) for _ in range(layers))

    @classmethod
    def spec(cls, *, dim: int = 144, heads: int = 4, kernel: int = 15, subsampling: int = 4, **_: Any) -> EncoderSpec:
        widths = dim > 0 and heads > 0 and dim % (2 * heads) == 0
        wanted = {
            "dim": (dim, (widths, f"a multiple of twice the number of heads, {heads}, not {dim}")),
            "heads": (heads, ranges.least(heads, 1)),
            "kernel": (kernel, (kernel > 0 and kernel % 2 == 1, f"positive and odd, not {kernel}")),
        }
        ranges.refuse(wanted, "encoder.")
        return EncoderSpec(dim, FRAME_RATE / subsampling, SAMPLE_RATE)

    def frames(self, samples: int) -> int:
        count = LogMel.frames(samples)
        for stride in self.subsampling.strides:
            count = -(-count // stride)
        return count

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(*self.features(audio, lengths))

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, dim] and lengths int64 [B] of what `features` gave: [B, T', bands] and lengths [B]."""
        features = self.augment(features.to(next(self.parameters()).dtype), lengths)
        hidden, counts = self.subsampling(features, lengths)
        valid = within(counts, hidden.shape[1])
        angles = rotary_angles(hidden.shape[1], self.dim // self.heads, hidden)
        for block in self.blocks:
            hidden = block(hidden, valid, angles)
        return hidden * valid[..., None], counts
