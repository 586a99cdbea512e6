"""Advantages: how much better a response or a token was than expected."""

from __future__ import annotations

import torch
from torch import Tensor

Advantages = tuple[Tensor, Tensor]


def generalised(
    rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float = 1.0, decay: float = 0.95
) -> Advantages:
    """Generalised advantage estimation over the tokens of responses (Schulman et al. 2016, arXiv 1506.02438).

    Args:
        rewards: of tokens [B, T].
        values: predicted before each token [B, T]; what follows a response's last token is worth 0.
        mask: bool [B, T]; true on a prefix of each row.
        discount: of a reward one token later, gamma.
        decay: between one-step differences (0) and whole returns (1), lambda.

    Returns:
        Advantages and returns, each float [B, T], 0 where the mask does not hold.
    """
    values = values.masked_fill(~mask, 0.0)
    rewards = rewards.masked_fill(~mask, 0.0)
    following = torch.cat([values[:, 1:], values.new_zeros(len(values), 1)], 1)
    surprises = rewards + discount * following - values
    found = torch.zeros_like(values)
    running = values.new_zeros(len(values))
    for place in range(values.shape[1] - 1, -1, -1):
        running = (surprises[:, place] + discount * decay * running) * mask[:, place]
        found[:, place] = running
    return found, (found + values).masked_fill(~mask, 0.0)


def of_groups(rewards: Tensor, size: int, *, scaled: bool = True) -> Tensor:
    """Each response against the others to its prompt (GRPO, arXiv 2402.03300): the mean of a group is 0.

    Args:
        rewards: of responses [P * size], the `size` responses to a prompt side by side; NaN where there is none.
        size: responses to each prompt.
        scaled: divide by the standard deviation of the group; without, hard and easy prompts are not weighted up (Dr.
            GRPO, arXiv 2503.20783).

    Returns:
        float [P * size]; 0 where there is no reward, where a group has only one, and where all of it are equal.
    """
    groups = rewards.view(-1, size)
    there = ~groups.isnan()
    count = there.sum(1, keepdim=True)
    centre = groups.nan_to_num(0.0).sum(1, keepdim=True) / count.clamp(min=1)
    apart = (groups - centre).masked_fill(~there, 0.0)
    level = apart.abs().amax(1, keepdim=True) <= 1e-6 * centre.abs().clamp(min=1)
    apart = apart.masked_fill(level, 0.0)
    if scaled:
        spread = ((apart**2).sum(1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
        apart = apart / (spread + 1e-4)
    return apart.view(-1)


def best_of_groups(rewards: Tensor, size: int, *, keep: int = 1, above: float = -torch.inf) -> Tensor:
    """The places of the `keep` best responses to each prompt (best-of-n; RAFT, Dong et al. 2023, arXiv 2304.06767).

    Args:
        rewards: of responses [P * size], as for `of_groups`; NaN is never chosen.
        size: responses to each prompt.
        keep: how many to take of each group at most.
        above: only rewards greater than this are taken.

    Returns:
        int64 [K], ascending; of equals the first.
    """
    groups = rewards.view(-1, size)
    usable = groups.masked_fill(groups.isnan(), -torch.inf)
    order = usable.sort(dim=1, descending=True, stable=True).indices[:, :keep]
    firsts = torch.arange(len(groups), device=rewards.device)[:, None] * size
    fine = usable.gather(1, order) > above
    return (order + firsts)[fine].sort().values
