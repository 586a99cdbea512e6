"""Vocoders of a ConvNeXt backbone and a head; they differ in the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stentor_tts.convnext import BackboneState, ConvNeXt, mask_of
from stentor_tts.interfaces import Vocoder
from stentor_tts.mel import BINS, normalised
from stentor_tts.vocoders.heads import FourierHead, Head, SourceFilterHead
from stentor_tts.vocoders.trained import fill


@dataclass(frozen=True)
class NeuralState:
    """Of the backbone and of the head; log-mel frames [B, t, BINS] whose features are to come."""

    backbone: BackboneState
    waiting: Tensor
    head: Any


class NeuralVocoder(Vocoder):
    """What `Vocos` and `SourceFilter` share: frames through backbone and head, at once or as they come."""

    capabilities = frozenset({"streaming"})

    def __init__(self, backbone: ConvNeXt, head: Head, run: str) -> None:
        super().__init__()
        self.backbone, self.head, self.trained_by = backbone, head, run

    def load_pretrained(self) -> dict[str, str]:
        return fill(self, self.trained_by, "vocoder")

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        mask = mask_of(lengths, mel.shape[1])
        made = self.backbone(normalised(mel), mask)
        samples: Tensor = self.head.step(made, mel, self.head.initial_state(len(mel)), last=True, mask=mask)[0]
        return samples

    def learn(self, mel: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        made = self.backbone(normalised(mel))
        start = int(torch.randint(1 << 20, ())) if self.training else 0
        samples = self.head.step(made, mel, self.head.initial_state(len(mel), start=start), last=True)[0]
        return samples, *self.head.cost(made, mel, audio)

    def initial_state(self, batch: int) -> NeuralState:
        nothing = self.backbone.first.weight.new_zeros(batch, 0, BINS)
        return NeuralState(self.backbone.initial_state(batch), nothing, self.head.initial_state(batch))

    def step(self, mel: Tensor, state: NeuralState, *, last: bool = False) -> tuple[Tensor, NeuralState]:
        made, backbone = self.backbone.step(normalised(mel), state.backbone, last=last)
        waiting, count = torch.cat([state.waiting, mel], 1), made.shape[1]
        samples, head = self.head.step(made, waiting[:, :count], state.head, last=last)
        return samples, NeuralState(backbone, waiting[:, count:], head)


class Vocos(NeuralVocoder):
    """Vocos (Siuzdak, arXiv 2306.00814): ConvNeXt backbone and a head of magnitudes and phases.

    Args:
        dim: width of the backbone.
        layers: its ConvNeXt blocks.
        expansion: width inside of a block over `dim`.
        kernel: frames that one convolution sees.
        lookahead: frames (10 ms each) of what comes that a frame sees.
        run: folder of a run whose trained vocoder it shall be; empty: it is trained here.
    """

    def __init__(
        self,
        *,
        dim: int = 256,
        layers: int = 6,
        expansion: int = 3,
        kernel: int = 7,
        lookahead: int = 6,
        run: str = "",
    ) -> None:
        backbone = ConvNeXt(BINS, dim=dim, layers=layers, expansion=expansion, kernel=kernel, lookahead=lookahead)
        super().__init__(backbone, FourierHead(dim), run)


class SourceFilter(NeuralVocoder):
    """A harmonic-plus-noise vocoder: the backbone of Vocos under a source-filter head (Wang et al., arXiv 1904.12088).

    Phases need not be learned from nothing, so it takes minutes of training where Vocos takes hours. Sounds of several
    pitches at once are beyond it.

    Args:
        dim: width of the backbone.
        layers: its ConvNeXt blocks.
        expansion: width inside of a block over `dim`.
        kernel: frames that one convolution sees.
        lookahead: frames (10 ms each) of what comes that a frame's filters see; its samples need the pitch of three
            more.
        run: folder of a run whose trained vocoder it shall be; empty: it is trained here.
    """

    def __init__(
        self,
        *,
        dim: int = 256,
        layers: int = 4,
        expansion: int = 3,
        kernel: int = 7,
        lookahead: int = 5,
        run: str = "",
    ) -> None:
        backbone = ConvNeXt(BINS, dim=dim, layers=layers, expansion=expansion, kernel=kernel, lookahead=lookahead)
        super().__init__(backbone, SourceFilterHead(dim), run)
