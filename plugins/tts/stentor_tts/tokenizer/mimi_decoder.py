"""Mimi's decoder as a stream: what `transformers` keeps no state of, its convolutions, keep theirs here."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MimiDecoding:
    """What of the past the next frames need.

    Attributes:
        inputs: by convolution, in order, the inputs [B, C, n] that it still sees; None before the first.
        keys: the transformer's cache.
    """

    inputs: tuple[Tensor | None, ...]
    keys: Any = None


def fresh(network: Any) -> MimiDecoding:
    """The state of new streams."""
    return MimiDecoding((None,) * len(_convolutions(network)))


def decode_on(network: Any, codes: Tensor, state: MimiDecoding) -> tuple[Tensor, MimiDecoding]:
    """Waveforms float [B, n] of the next codes int64 [B, K, T], T >= 1, and the state after them.

    Args:
        network: ``transformers``' MimiModel.
        codes: of whole frames.
        state: is not changed.
    """
    from transformers import DynamicCache

    upsample, transformer, seanet = _parts(network)
    past = _Past(network, state.inputs)
    keys = DynamicCache(config=transformer.config) if state.keys is None else copy.deepcopy(state.keys)
    frames = past.through(upsample, network.quantizer.decode(codes))
    frames = transformer(frames.transpose(1, 2), past_key_values=keys, use_cache=True).last_hidden_state
    audio = frames.transpose(1, 2)
    for layer in seanet.layers:
        audio = past.through(layer, audio)
    return audio[:, 0], MimiDecoding(past.after(), keys)


class _Past:
    """The inputs that each convolution still needs, read in one step and left for the next."""

    def __init__(self, network: Any, inputs: tuple[Tensor | None, ...]) -> None:
        self._order = {id(module): index for index, module in enumerate(_convolutions(network))}
        self._inputs = list(inputs)

    def after(self) -> tuple[Tensor | None, ...]:
        return tuple(self._inputs)

    def through(self, layer: nn.Module, frames: Tensor) -> Tensor:
        """Frames [B, C, T] through a convolution, a residual block or a layer without memory."""
        if hasattr(layer, "block"):
            return self._residual(layer, frames)
        if id(layer) not in self._order:
            found: Tensor = layer(frames)
            return found
        return self._convolved(layer, frames)

    def _residual(self, layer: Any, frames: Tensor) -> Tensor:
        inner = frames
        for part in layer.block:
            inner = self.through(part, inner)
        return self.through(layer.shortcut, frames) + inner

    def _convolved(self, layer: Any, frames: Tensor) -> Tensor:
        place, convolution = self._order[id(layer)], layer.conv
        before = self._inputs[place]
        if isinstance(convolution, nn.ConvTranspose1d):
            stride = convolution.stride[0]
            needed = -(-convolution.kernel_size[0] // stride) - 1
            seen = frames if before is None else torch.cat([before, frames], 2)
            first = (seen.shape[2] - frames.shape[2]) * stride
            made: Tensor = convolution(seen)[..., first : first + frames.shape[2] * stride]
        else:
            needed = int(layer.padding_total)
            if before is None:
                before = frames[..., :1].expand(-1, -1, needed) * (layer.pad_mode == "replicate")
            seen = torch.cat([before, frames], 2)
            made = convolution(seen)
        self._inputs[place] = seen[..., seen.shape[2] - min(needed, seen.shape[2]) :]
        return made


def _parts(network: Any) -> tuple[Any, Any, Any]:
    """Upsampling, transformer and convolutions of the decoder, where the versions of the library have them."""
    half = network.decoder
    if hasattr(half, "decoder_seanet"):
        return half.upsample, half.decoder_transformer, half.decoder_seanet
    return network.upsample, network.decoder_transformer, half


def _convolutions(network: Any) -> list[nn.Module]:
    upsample, _, seanet = _parts(network)
    found = [module for module in seanet.modules() if isinstance(getattr(module, "conv", None), nn.Module)]
    return [upsample, *found]
