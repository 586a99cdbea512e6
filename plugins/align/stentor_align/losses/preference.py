"""Direct preference losses: of a chosen and a rejected response to the same prompt, one value per pair.

Where a log-ratio is asked for, it is the log-probability of a whole response under the policy less that under the
reference: a sum over its tokens. All tensors are float [B], one entry per pair.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid


def dpo(chosen: Tensor, rejected: Tensor, *, beta: float = 0.1, smoothing: float = 0.0) -> Tensor:
    """Direct preference optimisation with the logistic loss (Rafailov et al. 2023, arXiv 2305.18290).

    Args:
        chosen: log-ratio of the chosen response [B].
        rejected: log-ratio of the rejected response [B].
        beta: how strongly the policy is held to the reference.
        smoothing: probability that a preference is the wrong way round; above 0 this is conservative DPO (Mitchell
            2023), whose gradient vanishes at a finite margin.
    """
    margin = beta * (chosen - rejected)
    return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)


def ipo(chosen: Tensor, rejected: Tensor, *, beta: float = 0.1) -> Tensor:
    """Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036): regress the margin to ``1 / (2 beta)``.

    Args:
        chosen: log-ratio of the chosen response per token [B]: the sum divided by the response's length. This is the
            form of the paper's experiments, as its authors told the maintainers of TRL.
        rejected: the same of the rejected response [B].
        beta: the paper's tau.
    """
    return (chosen - rejected - 1 / (2 * beta)) ** 2


def simpo(chosen: Tensor, rejected: Tensor, *, beta: float = 2.0, margin: float = 1.0) -> Tensor:
    """Simple preference optimisation (Meng et al. 2024, arXiv 2405.14734), which needs no reference.

    Args:
        chosen: mean log-probability per token of the chosen response under the policy [B].
        rejected: the same of the rejected response [B].
        beta: scales the difference.
        margin: what the scaled difference has to exceed, the paper's gamma.
    """
    return -logsigmoid(beta * (chosen - rejected) - margin)
