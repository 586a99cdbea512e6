"""Layer taps: read or replace hidden states, and change attention masks, at any layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stentor.interfaces.backbone import Backbone

Edit = Callable[[Tensor], Tensor]


class Taps:
    """What is attached to a backbone's layers; made by `taps`.

    Layers count from 0. Outputs stay bit-identical when nothing is changed: a mask that comes back as it went in is not
    even applied.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._layers = list(backbone.decoder_layers())
        self._edits: dict[int, list[Edit]] = {}
        self._masks: dict[int, list[Edit]] = {}
        self._records: dict[int, list[Tensor]] = {}
        self._handles: list[Any] = []

    def record(self, layer: int) -> list[Tensor]:
        """Keep the hidden states [B, T, dim] that leave `layer`, with their gradient history.

        Returns:
            A list that grows by one tensor per forward pass.
        """
        self._attach(layer)
        return self._records.setdefault(layer, [])

    def replace(self, layer: int, edit: Edit) -> None:
        """Put ``edit(hidden)`` in place of the hidden states [B, T, dim] that leave `layer`, before recording."""
        self._attach(layer)
        self._edits.setdefault(layer, []).append(edit)

    def mask(self, layer: int, edit: Edit) -> None:
        """Let `layer` attend by ``edit(mask)``: bool [B or 1, T, S], True where query t sees key s.

        Setting an entry to False puts the score of that pair at minus infinity (attention knockout, Geva et al. 2023,
        arXiv 2304.14767; for speech, arXiv 2603.17228). Every query must keep a key. A packed row is one [1, T, T]
        mask of blocks.
        """
        self._attach(layer)
        self._masks.setdefault(layer, []).append(edit)

    def _attach(self, layer: int) -> None:
        if not 0 <= layer < len(self._layers):
            raise IndexError(f"layer {layer} of a backbone with layers 0..{len(self._layers) - 1}")
        if layer in self._edits or layer in self._masks or layer in self._records:
            return
        module = self._layers[layer]

        def before(_: nn.Module, arguments: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return arguments, self._masked(layer, arguments, options)

        def after(_: nn.Module, __: Any, output: Any) -> Any:
            return self._output(layer, output)

        self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        self._handles.append(module.register_forward_hook(after))

    def _masked(self, layer: int, arguments: Any, options: dict[str, Any]) -> dict[str, Any]:
        if layer not in self._masks:
            return options
        given = options.get("attention_mask")
        before = given[:, 0] if given is not None else _implied(arguments[0], options)
        mask = before
        for edit in self._masks[layer]:
            mask = edit(mask.clone())
        if torch.equal(mask.expand_as(before) if mask.shape[0] == 1 else mask, before):
            return options
        return {**options, "attention_mask": mask[:, None], "packed": None}

    def _output(self, layer: int, output: Any) -> Any:
        hidden = output if isinstance(output, Tensor) else output[0]
        for edit in self._edits.get(layer, []):
            hidden = edit(hidden)
        if layer in self._records:
            self._records[layer].append(hidden)
        return hidden if isinstance(output, Tensor) else (hidden, *output[1:])

    def remove(self) -> None:
        """Detach everything."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _implied(hidden: Tensor, options: dict[str, Any]) -> Tensor:
    """The mask that a layer follows when it is given none."""
    width, cache, packed = hidden.shape[1], options.get("past_key_values"), options.get("packed")
    if cache is not None:
        return cache.visible(width)
    causal = torch.ones(width, width, dtype=torch.bool, device=hidden.device).tril()
    if packed is not None:
        numbers = torch.arange(len(packed), device=hidden.device)
        owner = numbers.repeat_interleave(torch.tensor(packed, device=hidden.device))
        causal &= owner[:, None] == owner
    return causal[None]


@contextmanager
def taps(backbone: Backbone) -> Iterator[Taps]:
    """Attach taps to `backbone` for the length of a ``with`` block.

    >>> with taps(backbone) as tap:            # doctest: +SKIP
    ...     seen = tap.record(3)
    ...     tap.replace(5, lambda hidden: hidden * 0)
    ...     backbone(inputs)
    """
    attached = Taps(backbone)
    try:
        yield attached
    finally:
        attached.remove()
