"""Codec ``mimi``: Mimi of `transformers`, streaming both ways."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.interfaces.codec import CodecSpec, Codes
from stentor_tts.tokenizer.hub import HubCodec
from stentor_tts.tokenizer.mimi_decoder import MimiDecoding, decode_on, fresh


@dataclass(frozen=True)
class MimiEncoding:
    """Of streams that began together: samples [B, n] of no whole frame yet, and the caches of `transformers`."""

    audio: Tensor
    padding: Any = None
    keys: Any = None


class MimiCodec(HubCodec):
    """Causal convolutions and transformers around residual vector quantisation (Moshi, arXiv 2410.00037).

    12.5 Hz per codebook at 24 kHz. The first codebook is the semantic one. Streamed audio and codes are those of the
    whole recording up to rounding.

    Args:
        weights: a Hub name, or a folder in the Hub's layout; constructing needs only its sizes.
        codebooks: how many of the codebooks, from the first on; 0: all.
    """

    capabilities = frozenset({"decode", "streaming"})
    model_type = "mimi"
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"kyutai/mimi": {}}

    def __init__(self, *, weights: str = "kyutai/mimi", codebooks: int = 8) -> None:
        super().__init__(weights, codebooks)

    @classmethod
    def spec(cls, *, weights: str = "kyutai/mimi", codebooks: int = 8, **_: Any) -> CodecSpec:
        return cls.spec_of(cls.config_of(weights), codebooks)

    @classmethod
    def model_class(cls) -> Any:
        from transformers import MimiModel

        return MimiModel

    @classmethod
    def books(cls, config: Any) -> int:
        return int(config.num_quantizers)

    @classmethod
    def hop(cls, config: Any) -> int:
        return round(config.sampling_rate / config.frame_rate)

    def load_pretrained(self) -> dict[str, str]:
        told = super().load_pretrained()
        for module in self.network.modules():
            if hasattr(module, "_embed"):
                module._embed = None  # what the library remembers of the codebooks that were there before
        return told

    def codes_of(self, audio: Tensor) -> Tensor:
        found: Tensor = self.network.encode(audio[None, None], num_quantizers=len(self.declared.codebooks)).audio_codes[
            0
        ]
        return found

    def audio_of(self, codes: Tensor) -> Tensor:
        found: Tensor = self.network.decode(codes[None]).audio_values[0, 0]
        return found

    def initial_state(self, batch: int) -> MimiEncoding:
        return MimiEncoding(next(self.parameters()).new_zeros(batch, 0))

    @torch.no_grad()
    def step(self, audio: Tensor, state: MimiEncoding, *, last: bool = False) -> tuple[list[Codes], MimiEncoding]:
        held = torch.cat([state.audio, audio], 1)
        whole = held.shape[1] // self.declared.group_samples * self.declared.group_samples
        if not whole:
            return [self.none(held.device) for _ in held], MimiEncoding(held, state.padding, state.keys)
        made = self.network.encode(
            held[:, None, :whole],
            num_quantizers=len(self.declared.codebooks),
            padding_cache=copy.deepcopy(state.padding),
            encoder_past_key_values=copy.deepcopy(state.keys),
            use_streaming=True,
        )
        after = MimiEncoding(held[:, whole:], made.padding_cache, made.encoder_past_key_values)
        return [tuple(row) for row in made.audio_codes], after

    def initial_decode_state(self, batch: int) -> MimiDecoding:
        return fresh(self.network)

    @torch.no_grad()
    def decode_step(
        self, codes: Sequence[Codes], state: MimiDecoding, *, last: bool = False
    ) -> tuple[Tensor, MimiDecoding]:
        stacked = pad_sequence([torch.stack(row, 1) for row in codes], batch_first=True).transpose(1, 2)
        if not stacked.shape[2]:
            return next(self.parameters()).new_zeros(len(codes), 0), state
        return decode_on(self.network, stacked, state)
