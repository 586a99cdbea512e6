"""A further layer of a decoder's kind, which begins as a copy of its last one."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from stentor.interfaces.backbone import Tail
from stentor.model import lm_config
from stentor.model.cached_decoder import CachedDecoder
from stentor.model.dropout import ResidualDropout
from stentor.model.lora import effective_bias, effective_weight, is_adapted


class DecoderTail(CachedDecoder, Tail):
    """One decoder layer of transformers and a final norm, without embeddings or head.

    Args:
        decoder: the decoder of transformers whose last layer and final norm it begins as.
        dropout: probability of dropping values that the layer adds, in training.
    """

    layers, dropout = 1, 0.0

    def __init__(self, decoder: Any, dropout: float = 0.0) -> None:
        super().__init__()
        config = copy.deepcopy(decoder.config)
        config.num_hidden_layers, config.vocab_size = 1, 1
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[-1:]
        self.decoder = lm_config.build(config)
        self.decoder.embed_tokens = nn.Identity()
        if dropout:
            add_dropout(self.decoder, dropout)
        self._copy(decoder)

    def copy(self, backbone: Any) -> None:
        self._copy(backbone.decoder)

    @torch.no_grad()
    def _copy(self, decoder: Any) -> None:
        pairs = ((decoder.layers[-1], self.decoder.layers[0]), (decoder.norm, self.decoder.norm))
        for source, target in pairs:
            for name, module in target.named_modules():
                own = source.get_submodule(name)
                if is_adapted(own):
                    module.weight.copy_(effective_weight(own))
                    if module.bias is not None:
                        module.bias.copy_(effective_bias(own))
                    continue
                for parameter, value in module.named_parameters(recurse=False):
                    value.copy_(getattr(own, parameter))


def add_dropout(decoder: Any, probability: float) -> None:
    """Drop values of what the blocks of a decoder of transformers add, in training."""
    for layer in decoder.layers:
        layer.self_attn.register_forward_hook(ResidualDropout(probability))
        layer.mlp.register_forward_hook(ResidualDropout(probability))
