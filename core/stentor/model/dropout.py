"""Dropout on what a block adds to the residual stream."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class ResidualDropout:
    """A forward hook for attention and feed-forward layers (Srivastava et al. 2014; Vaswani et al. 2017, section 5.4).

    Attention weights are not dropped: that would leave the fast kernel and tie the result to how sequences are packed.
    """

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return functional.dropout(output, self.probability, module.training)
        return (functional.dropout(output[0], self.probability, module.training), *output[1:])
