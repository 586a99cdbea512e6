"""Codec ``encodec``: EnCodec of `transformers`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor_tts.tokenizer.hub import HubCodec


class EncodecCodec(HubCodec):
    """Causal convolutions, an LSTM and residual vector quantisation (Defossez et al. 2022, arXiv 2210.13438).

    75 Hz per codebook at 24 kHz. It does not stream: at its beginning a recording is continued backwards by its mirror
    image, and `transformers` keeps no state. Weights that code loudness apart, in scales beside the codes, are refused.

    Args:
        weights: a Hub name, or a folder in the Hub's layout; constructing needs only its sizes.
        codebooks: how many of the codebooks, from the first on; 8 are 6 kbit/s; 0: all.
    """

    capabilities = frozenset({"decode"})
    model_type = "encodec"
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"facebook/encodec_24khz": {}}

    def __init__(self, *, weights: str = "facebook/encodec_24khz", codebooks: int = 8) -> None:
        super().__init__(weights, codebooks)

    @classmethod
    def spec(cls, *, weights: str = "facebook/encodec_24khz", codebooks: int = 8, **_: Any) -> CodecSpec:
        config = cls.config_of(weights)
        if config.normalize or config.chunk_length_s is not None:
            raise StentorError("it codes pieces with scales beside the codes, which are not kept here; "
                               "facebook/encodec_24khz does not.", path="codec.weights", value=weights)  # fmt: skip
        return cls.spec_of(config, codebooks)

    @classmethod
    def model_class(cls) -> Any:
        from transformers import EncodecModel

        return EncodecModel

    @classmethod
    def books(cls, config: Any) -> int:
        return int(config.num_quantizers)

    @classmethod
    def hop(cls, config: Any) -> int:
        return math.prod(config.upsampling_ratios)

    def codes_of(self, audio: Tensor) -> Tensor:
        quantizer, spec = self.network.quantizer, self.declared
        each = math.log2(quantizer.codebook_size) * quantizer.frame_rate / 1000  # kbit/s
        frames = self.network.encoder(audio[None, None])
        found: Tensor = quantizer.encode(frames, (len(spec.codebooks) + 0.5) * each)[:, 0]
        return found

    def audio_of(self, codes: Tensor) -> Tensor:
        found: Tensor = self.network.decoder(self.network.quantizer.decode(codes[:, None]))[0, 0]
        return found
