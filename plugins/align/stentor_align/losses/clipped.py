"""The clipped objectives of PPO and GRPO, and the ways to average them over tokens and responses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stentor_align.losses.sequences import mean, mean_of_all, total

Average = Literal["response", "token", "constant"]


def policy(
    log_probs: Tensor, old: Tensor, advantages: Tensor, *, low: float = 0.2, high: float | None = None
) -> Tensor:
    """PPO's clipped objective per token, to be descended (Schulman et al. 2017, arXiv 1707.06347).

    Args:
        log_probs: of the sampled tokens under the policy as it is [B, T].
        old: the same under the policy that sampled, no gradient [B, T].
        advantages: of each token [B, T], or of each response [B].
        low: how far below 1 a probability ratio may still gain.
        high: how far above 1; None: as `low` (another value is DAPO's "clip higher", arXiv 2503.14476).

    Returns:
        float [B, T].
    """
    high = low if high is None else high
    advantages = advantages[:, None] if advantages.ndim == 1 else advantages
    ratio = (log_probs - old).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def clipped_share(
    log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, low: float = 0.2, high: float | None = None
) -> Tensor:
    """The share of masked tokens whose ratio is clipped, so that they give no gradient (scalar)."""
    high = low if high is None else high
    advantages = advantages[:, None] if advantages.ndim == 1 else advantages
    ratio = (log_probs - old).exp()
    stopped = ((ratio < 1 - low) & (advantages < 0)) | ((ratio > 1 + high) & (advantages > 0))
    return mean_of_all(stopped.float(), mask)


def value(values: Tensor, old: Tensor, returns: Tensor, *, clip: float | None = 0.2) -> Tensor:
    """PPO's value loss per token; a value that has moved further than `clip` gains nothing more (arXiv 1707.06347).

    Args:
        values: as predicted now [B, T].
        old: as predicted when the responses were sampled [B, T].
        returns: what they should have been [B, T].
        clip: None leaves the plain squared error.

    Returns:
        float [B, T].
    """
    plain = (values - returns) ** 2
    if clip is None:
        return 0.5 * plain
    near = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum(plain, (near - returns) ** 2)


def averaged(
    losses: Tensor, mask: Tensor, average: Average, *, longest: int = 0, rows: int = 0, tokens: int = 0
) -> Tensor:
    """One number of the losses [B, T] of tokens.

    Averaging each response by its own length first makes a token of a long wrong response cheap, so that wrong
    responses grow; the other two do not (Yu et al. 2025, arXiv 2503.14476; Liu et al. 2025, arXiv 2503.20783).

    Args:
        losses: of tokens [B, T].
        mask: bool [B, T], which of them count.
        average: ``response``: over each response's tokens, then over responses (GRPO, arXiv 2402.03300); ``token``:
            over all tokens (DAPO); ``constant``: the sum divided by the number of responses times `longest` (Dr. GRPO).
        longest: for ``constant``: tokens of the longest response that may be sampled.
        rows: responses to average over, where some that would add 0 were left out; 0: as many as there are.
        tokens: the same for tokens.
    """
    rows = rows or len(losses)
    if average == "response":
        return mean(losses, mask).sum() / max(rows, 1)
    if average == "token":
        return total(losses, mask).sum() / max(tokens or int(mask.sum()), 1)
    return total(losses, mask).sum() / max(rows * longest, 1)
