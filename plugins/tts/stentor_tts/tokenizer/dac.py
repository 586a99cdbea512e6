"""Codec ``dac``: the Descript audio codec of `transformers`."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from stentor.interfaces.codec import CodecSpec
from stentor_tts.tokenizer.hub import HubCodec

_SIXTEEN = MappingProxyType(
    {
        "downsampling_ratios": [2, 4, 5, 8],
        "upsampling_ratios": [8, 5, 4, 2],
        "hop_length": 320,
        "n_codebooks": 12,
        "sampling_rate": 16000,
    }
)


class DacCodec(HubCodec):
    """Convolutions and residual vector quantisation (Kumar et al. 2023, arXiv 2306.06546).

    50 Hz per codebook at 16 kHz. Its convolutions look ahead, so it does not stream.

    Args:
        weights: a Hub name, or a folder in the Hub's layout; constructing needs only its sizes.
        codebooks: how many of the codebooks, from the first on; 0: all.
    """

    capabilities = frozenset({"decode"})
    model_type = "dac"
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"descript/dac_16khz": _SIXTEEN}

    def __init__(self, *, weights: str = "descript/dac_16khz", codebooks: int = 0) -> None:
        super().__init__(weights, codebooks)

    @classmethod
    def spec(cls, *, weights: str = "descript/dac_16khz", codebooks: int = 0, **_: Any) -> CodecSpec:
        return cls.spec_of(cls.config_of(weights), codebooks)

    @classmethod
    def model_class(cls) -> Any:
        from transformers import DacModel

        return DacModel

    @classmethod
    def books(cls, config: Any) -> int:
        return int(config.n_codebooks)

    @classmethod
    def hop(cls, config: Any) -> int:
        return prod(config.downsampling_ratios)

    def codes_of(self, audio: Tensor) -> Tensor:
        found: Tensor = self.network.encode(audio[None, None], n_quantizers=len(self.declared.codebooks)).audio_codes[0]
        return found

    def audio_of(self, codes: Tensor) -> Tensor:
        found: Tensor = self.network.decode(audio_codes=codes[None]).audio_values.flatten()
        return found
