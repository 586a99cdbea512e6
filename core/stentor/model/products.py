"""Matrix products with fixed weights, laid out once for the machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
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
    if packs(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
        multiply = torch.ops.mkldnn._linear_pointwise.default
        return lambda x: multiply(x, packed, bias, "none", [], "")
    kept = weight.clone()
    return lambda x: functional.linear(x, kept, bias)


class Packed(nn.Module):
    """A linear layer that can only be used: its weights are laid out for the machine, and there is no other copy."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.multiply = product(linear.weight, linear.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return self.multiply(inputs)


def pack(model: nn.Module) -> None:
    """Replace the linear layers of a model that will not be trained, saved or moved any more.

    Only where it pays: fp32 on CPUs with oneDNN. The rest stays as it is.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and packs(child.weight):
                setattr(parent, name, Packed(child))


def packs(weight: Tensor) -> bool:
    """Whether a weight is laid out anew by `product`."""
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(known) and weight.device.type == "cpu" and weight.dtype == torch.float32
