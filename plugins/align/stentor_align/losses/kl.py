"""How far a policy has gone from its reference: estimators of the divergence, and control of its weight."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Estimator = Literal["k1", "k2", "k3"]


def divergence(log_probs: Tensor, reference: Tensor, estimator: Estimator = "k3") -> Tensor:
    """An estimate of KL(policy || reference) from a token that the policy sampled (Schulman 2020).

    Args:
        log_probs: of the sampled tokens under the policy [...].
        reference: the same under the reference [...].
        estimator: ``k1``, the log-ratio: unbiased, may be negative; ``k2``, half its square: biased, low variance;
            ``k3``: unbiased and never negative.

    Returns:
        float [...].
    """
    ratio = log_probs - reference
    if estimator == "k1":
        return ratio
    if estimator == "k2":
        return 0.5 * ratio**2
    return (-ratio).exp() - 1 + ratio


def penalty(log_probs: Tensor, old: Tensor, reference: Tensor) -> Tensor:
    """``k3`` weighted by how much likelier a token is now than when it was sampled, to be descended.

    With that weight the expected gradient is that of KL(policy || reference), before and after the policy has moved on
    (DeepSeek-V3.2, arXiv 2512.02556); without it, that of the divergence the other way round.

    Args:
        log_probs: of the sampled tokens under the policy as it is [...].
        old: the same under the policy that sampled, no gradient [...].
        reference: the same under the reference, no gradient [...].

    Returns:
        float [...].
    """
    return (log_probs - old).exp() * divergence(log_probs, reference, "k3")


class AdaptiveCoefficient:
    """A weight of the divergence that grows while it is above its target and shrinks below (arXiv 1909.08593).

    Args:
        start: weight to begin with.
        target: divergence per response that is aimed at (nats).
        horizon: responses over which the weight answers.
    """

    def __init__(self, start: float, target: float, horizon: int) -> None:
        self.value, self.target, self.horizon = start, target, horizon

    def update(self, measured: float, responses: int) -> None:
        """Answer a divergence of `measured` nats per response, seen on `responses` responses."""
        error = max(-0.2, min(0.2, measured / self.target - 1))
        self.value *= 1 + error * responses / self.horizon
