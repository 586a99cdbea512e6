"""The critic of PPO: what a response is still worth, before each of its tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stentor_align import logprobs
from stentor_align.logprobs import Read

Kind = Literal["own", "head"]


class Critic(nn.Module):
    """Values of tokens: a head on a backbone of its own, or on the policy's hidden states.

    A head alone sends no gradient into the policy.

    Args:
        policy: whose prompts and responses it judges.
        kind: ``own`` begins as a copy of the policy's backbone; ``head`` costs no pass of its own.
    """

    def __init__(self, policy: Any, kind: Kind) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(policy.backbone) if kind == "own" else None
        self.head = nn.Linear(policy.backbone.dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def begin(self, policy: Any) -> None:
        """Take over the weights that the policy's backbone has now."""
        if self.backbone is not None:
            self.backbone.load_state_dict(policy.backbone.state_dict())

    def forward(
        self, prompts: Sequence[Tensor], tokens: Sequence[Sequence[int]], owners: Sequence[int], read: Read
    ) -> Tensor:
        """Values float32 [N] before every token of responses that lie end to end.

        Args:
            prompts: embeddings [T, dim] of each.
            tokens: ids of each response.
            owners: which prompt each response answers.
            read: what the policy made of them.
        """
        if self.backbone is not None:
            read = logprobs.read(self.backbone, [one.detach() for one in prompts], tokens, owners)
            return self.head(read.before)[:, 0].float()
        return self.head(read.before.detach())[:, 0].float()
