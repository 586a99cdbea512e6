"""LoRA through peft: apply it to a backbone, merge it, and read the weights that a layer effectively has."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.extras import require
from stentor.interfaces.backbone import Backbone
from stentor.model.lora_settings import LoraSettings


def apply(backbone: Backbone, settings: LoraSettings) -> None:
    """Add low-rank updates to the layers that `settings` names, in place; from then on only these train.

    Raises:
        StentorError: when peft is not installed, the rank is not positive or no layer has such a name.
    """
    peft = require("peft", "lora")
    if settings.rank < 1:
        raise StentorError("it must be at least 1.", path="lora.rank", value=settings.rank)
    names = {name.rpartition(".")[2] for name, module in backbone.named_modules() if isinstance(module, nn.Linear)}
    for target in settings.targets:
        if target not in names:
            raise StentorError("the backbone has no such linear layer.", path="lora.targets", value=target,
                               options=sorted(names))  # fmt: skip
    backbone.requires_grad_(False)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
    )
    peft.inject_adapter_in_model(config, backbone)


def merge(backbone: Backbone) -> None:
    """Add every update to its matrix and take the LoRA layers out, in place."""
    adapted = [(name, module) for name, module in backbone.named_modules() if is_adapted(module)]
    for name, module in adapted:
        module.merge()
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, module.get_base_layer())


def is_adapted(module: nn.Module) -> Any:
    """Whether `module` is a linear layer with LoRA updates."""
    return hasattr(module, "get_delta_weight") and hasattr(module, "get_base_layer")


def effective_weight(module: nn.Module) -> Tensor | None:
    """The matrix [out, in] that a linear layer multiplies with, updates included; None if it is more than that."""
    if type(module) is nn.Linear:
        return module.weight
    if not is_adapted(module) or any(getattr(module, "lora_variant", {}).values()):
        return None
    layer: Any = module
    weight: Tensor = layer.get_base_layer().weight
    if layer.disable_adapters or layer.merged:
        return weight
    for name in layer.active_adapters:
        weight = weight + layer.get_delta_weight(name)
    return weight


def effective_bias(module: Any) -> Tensor | None:
    """The bias of a linear layer, adapted or not."""
    bias: Tensor | None = (module.get_base_layer() if is_adapted(module) else module).bias
    return bias
