"""SpeechLM: what is heard, read and said on one timeline, in one causal language model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.adapter import Adapter
from stentor.interfaces.backbone import Backbone
from stentor.sequence.packing import Packed


class SpeechLM(nn.Module):
    """Adapter and backbone (arXiv 2507.16632, 2605.23463): continuous embeddings in, next-token logits out.

    The encoder stays outside: it is usually frozen and its frames are cached. The adapter may be absent, as in
    synthesis, which hears nothing.
    """

    def __init__(self, backbone: Backbone, adapter: Adapter | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.adapter = adapter

    def hear(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The adapter's embeddings [B, T', D] and lengths [B] of encoder frames [B, T, E].

        Raises:
            StentorError: when the model has no adapter.
        """
        if self.adapter is None:
            raise StentorError("this model was built without an adapter and cannot hear.")
        return self.adapter(frames, lengths)

    def embed(self, packed: Packed, heard: Tensor | None = None) -> Tensor:
        """Input embeddings [N, D] of packed sequences.

        Args:
            packed: N positions.
            heard: float [M, D], embeddings for the M continuous positions, in their order.
        """
        device = next(self.backbone.parameters()).device
        embedded = self.backbone.embed(packed.ids.clamp(min=0).to(device))
        if heard is None:
            return embedded
        places = packed.continuous.nonzero().squeeze(1).to(device)
        return embedded.index_put((places,), heard.to(embedded.dtype))

    def forward(self, packed: Packed, heard: Tensor | None = None) -> Tensor:
        """Hidden states [N, D]; sequences do not see each other."""
        return self.run(packed, self.embed(packed, heard))

    def run(self, packed: Packed, inputs: Tensor) -> Tensor:
        """Hidden states [N, D] of input embeddings [N, D].

        Where a span attends both ways, rows are padded and masked; otherwise nothing is padded at all.
        """
        if not packed.both_ways.any():
            return self.backbone(inputs[None], packed=packed.lengths)[0]
        valid = packed.valid().to(inputs.device)
        hidden = self.backbone(packed.unpack(inputs), mask=both_ways_mask(packed).to(inputs.device))
        return hidden[valid]

    def loss(self, packed: Packed, heard: Tensor | None = None) -> tuple[Tensor, int]:
        """Weighted mean next-token cross-entropy and how many targets it averages."""
        return self.next_token_loss(packed, self(packed, heard))

    def next_token_loss(self, packed: Packed, hidden: Tensor) -> tuple[Tensor, int]:
        """The same of hidden states [N, D]; logits are computed only where there is a target."""
        losses, places = self.token_losses(packed, hidden)
        weights = packed.weights[places].to(losses.device)
        return (losses * weights).sum() / weights.sum(), len(places)

    def token_losses(self, packed: Packed, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy float32 [n] of each target, and their places int64 [n] among the positions."""
        places = (packed.targets >= 0).nonzero().squeeze(1)
        logits = self.backbone.project(hidden[places]).float()
        return functional.cross_entropy(logits, packed.targets[places].to(logits.device), reduction="none"), places

    def prompts(self, packed: Packed, heard: Tensor | None = None) -> list[Tensor]:
        """Embeddings [T_i, D] of each sequence, to decode on from."""
        return list(torch.split(self.embed(packed, heard), list(packed.lengths)))


def both_ways_mask(packed: Packed) -> Tensor:
    """bool [B, T, T]: causal, and both ways inside each both-ways span; padding is seen by itself alone."""
    numbers, valid = packed.unpack(packed.both_ways), packed.valid()
    time = valid.shape[1]
    causal = torch.ones(time, time, dtype=torch.bool).tril()
    together = (numbers[:, :, None] == numbers[:, None]) & (numbers[:, :, None] > 0)
    seen = (causal | together) & valid[:, None] & valid[:, :, None]
    return seen | torch.eye(time, dtype=torch.bool)


def flatten(rows: Tensor, lengths: Tensor | Sequence[int]) -> Tensor:
    """The valid positions [M, D] of padded rows [B, T, D], end to end."""
    counts = torch.as_tensor(lengths, device=rows.device)
    return rows[torch.arange(rows.shape[1], device=rows.device)[None] < counts[:, None]]
