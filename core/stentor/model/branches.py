"""Serial prediction branches: each looks one token further ahead than the one before it.

StepAudio 2.5 (arXiv 2605.23463) after DeepSeek-V3 (arXiv 2412.19437, section 2.2). With h_0 the backbone's hidden
states and e the input embeddings, branch i at position t takes h_(i-1)[t] and e[t + i], both normalised, joins them,
projects them back to the model's width and runs one decoder layer over them: h_i[t]. The backbone's own head makes of
it the prediction of token t + 1 + i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.interfaces.backbone import Backbone
from stentor.sequence.packing import Packed


class Branch(nn.Module):
    """One branch.

    Args:
        backbone: whose width and kind of layer it has; `tail` begins as its last layer.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        dim = backbone.dim
        self.hidden_norm, self.token_norm = nn.RMSNorm(dim, eps=1e-6), nn.RMSNorm(dim, eps=1e-6)
        self.join = nn.Linear(2 * dim, dim, bias=False)
        nn.init.normal_(self.join.weight, std=(2 * dim) ** -0.5)
        self.tail = backbone.tail()

    def mix(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """The layer's inputs [..., dim] of the previous hidden states and the shifted embeddings, both [..., dim]."""
        joined: Tensor = self.join(torch.cat([self.hidden_norm(hidden), self.token_norm(tokens)], -1))
        return joined


def loss_weights(count: int, decay: float) -> list[float]:
    """Weights of the branches' losses: each `decay` times the one before it, summing to 1."""
    powers = [decay**index for index in range(count)]
    return [power / sum(powers) for power in powers]


def shifted_targets(packed: Packed, ahead: int) -> tuple[Tensor, Tensor, Tensor]:
    """What branch `ahead` is trained on: it looks from where the text is being written, and at nothing behind its end.

    Returns:
        Positions int64 [M], targets int64 [M] (token ``position + 1 + ahead`` of the same sequence) and weights [M].
    """
    sequence = torch.arange(len(packed.lengths)).repeat_interleave(torch.tensor(packed.lengths))
    same = sequence.to(packed.targets.device) == sequence.roll(-ahead).to(packed.targets.device)
    same[max(0, len(same) - ahead) :] = False
    targets = packed.targets.roll(-ahead)
    places = (same & (packed.targets >= 0) & (targets >= 0)).nonzero().squeeze(1)
    return places, targets[places], packed.weights.roll(-ahead)[places]


def branch_losses(
    branches: Sequence[Branch], project: Callable[[Tensor], Tensor], packed: Packed, inputs: Tensor, hidden: Tensor
) -> list[Tensor]:
    """Mean weighted cross-entropy of each branch; 0 for one that no text is long enough for.

    Args:
        branches: in order.
        project: hidden states to logits.
        packed: N positions with their targets.
        inputs: float [N, dim], input embeddings.
        hidden: float [N, dim], the backbone's hidden states.
    """
    losses = []
    for index, branch in enumerate(branches):
        ahead = index + 1
        mixed = branch.mix(hidden, inputs.roll(-ahead, 0))
        hidden = branch.tail(mixed[None], packed=packed.lengths)[0]
        places, targets, weights = shifted_targets(packed, ahead)
        if not len(places):
            losses.append(hidden.sum() * 0)
            continue
        found = functional.cross_entropy(project(hidden[places]).float(), targets, reduction="none")
        losses.append((found * weights).sum() / weights.sum())
    return losses
