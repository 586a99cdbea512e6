"""Keeps the fused copy of a backbone's weights in step with the backbone."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from stentor.model.dropout import ResidualDropout
from stentor.model.fused import FusedDecoder
from stentor.model.lora import effective_weight, is_adapted

ARCHITECTURES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose layers `FusedDecoder` knows."""
_version = attrgetter("_version")


class FusedCopy:
    """Keeps a `FusedDecoder` of a backbone, and knows when it no longer shows the backbone's weights."""

    def __init__(self) -> None:
        self._decoder: FusedDecoder | None = None
        self._tensors: list[Tensor] = []
        self._marks: list[Any] = []
        self._projection: Any = None
        self._switches: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return vars(FusedCopy())  # a copy or a pickle of the backbone makes its own

    def current(self, backbone: Any, inputs: Tensor, *, thorough: bool) -> FusedDecoder | None:
        """A fused decoder with the present weights, or None where there can be none.

        Args:
            backbone: the `CausalLM`; in training mode, with hooks on its layers, or of another family it has none.
            inputs: what is to be run, for its precision.
            thorough: look for new modules, hooks and switched adapters too (at the start of a sequence); otherwise
                only for changed weights and for hooks on whole layers.
        """
        decoder = backbone.decoder
        if backbone.training or any(layer._forward_hooks or layer._forward_pre_hooks for layer in decoder.layers):
            return None
        if torch.is_autocast_enabled(inputs.device.type):
            return None
        if thorough:
            found = switches(backbone)
            if found is None:
                self._decoder = None
            elif found != self._switches or self._decoder is None or not self._fresh():
                self._switches = found
                self._make(backbone)
        elif self._decoder is not None and not self._fresh():
            self._make(backbone)
        return self._decoder

    def present(self, backbone: Any, hidden: Tensor) -> FusedDecoder | None:
        """The fused decoder if there is one with the present projection; never makes one."""
        if self._decoder is None or backbone.training or torch.is_autocast_enabled(hidden.device.type):
            return None
        return self._decoder if marks([backbone.projection]) == self._projection else None

    def forget(self) -> None:
        """Drop the copy: weights are about to change in a way that leaves no mark, as torch's fused optimisers do."""
        self._decoder = None

    def _make(self, backbone: Any) -> None:
        self._tensors = list(backbone.parameters())
        self._marks = marks(self._tensors)
        self._projection = marks([backbone.projection])
        self._decoder = FusedDecoder(backbone.decoder, backbone.projection)

    def _fresh(self) -> bool:
        return marks(self._tensors) == self._marks


def marks(tensors: list[Tensor]) -> list[Any]:
    """Changes whenever one of the tensors is written to in place or given other memory."""
    return [*map(Tensor.data_ptr, tensors), *map(_version, tensors)]


def switches(backbone: Any) -> list[Any] | None:
    """What decides about the fused form besides weights, or None where it would not do the same."""
    config = backbone.decoder.config
    if config.model_type not in ARCHITECTURES or config.hidden_act != "silu":
        return None
    found: list[Any] = [id(parameter) for parameter in backbone.parameters()]
    if any(parameter.is_inference() for parameter in backbone.parameters()):
        return None
    for module in backbone.decoder.modules():
        hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        if any(not isinstance(hook, ResidualDropout) for hook in hooks):
            return None
        if is_adapted(module):
            if effective_weight(module) is None:
                return None
            found.append((id(module), module.disable_adapters, module.merged, tuple(module.active_adapters)))
    return found
