"""Matrix products with fixed weights, laid out once for the machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Product = Callable[[Tensor], Tensor]

_ROWS = 16
"""The batch that packed weights are laid out for; measured to serve 1 to 1000 rows best."""


def product(weight: Tensor, bias: Tensor | None = None) -> Product:
    """``x -> x weight^T + bias`` for float [N, in] inputs, with a copy of `weight` [out, in].

    On CPUs fp32 weights are packed for oneDNN: reading them costs half as much for few rows, and where the CPU has
    AVX-512 but torch's BLAS does not use it (AMD), any number of rows gains a factor of two.
    """
    weight = weight.detach()
    bias = None if bias is None else bias.detach().clone()
    packs = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if packs and weight.device.type == "cpu" and weight.dtype == torch.float32:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
        multiply = torch.ops.mkldnn._linear_pointwise.default
        return lambda x: multiply(x, packed, bias, "none", [], "")
    kept = weight.clone()
    return lambda x: functional.linear(x, kept, bias)
