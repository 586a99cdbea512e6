"""What a policy is held to: a frozen copy, or the policy itself with its LoRA updates off."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.model.lora import is_adapted

Mode = Literal["frozen", "adapters-off", "none"]


def frozen(policy: Any) -> Any:
    """A copy of a policy that is never trained, and that LoRA passes by."""
    found = copy.deepcopy(policy).requires_grad_(False).eval()
    for module in found.modules():
        if isinstance(module, Backbone):
            module.adaptable = False
    return found


@contextmanager
def adapters_off(policy: nn.Module) -> Iterator[None]:
    """The policy as it was before LoRA, inside of the block.

    Raises:
        StentorError: when it has no LoRA, or when something else of it is trained and so would differ too.
    """
    layers: list[Any] = [module for module in policy.modules() if is_adapted(module)]
    if not layers:
        raise StentorError("the policy has no adapters to switch off; set train.lora.rank, or keep a frozen reference.",
                           path="task.reference", value="adapters-off")  # fmt: skip
    others = [name for name, one in policy.named_parameters() if one.requires_grad and "lora_" not in name]
    if others:
        raise StentorError(f"'{others[0]}' is trained beside the adapters, so that the policy with its adapters off is "
                           f"not what it was; name it in train.freeze.", path="task.reference")  # fmt: skip
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@contextmanager
def consulted(policy: Any, copied: Any | None) -> Iterator[Any]:
    """The reference of `policy`: `copied` where there is a copy, else the policy with its adapters off; no gradient."""
    with torch.no_grad():
        if copied is not None:
            yield copied
        else:
            with adapters_off(policy):
                yield policy
