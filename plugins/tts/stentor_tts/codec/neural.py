"""The neural codecs: one network, two ways to make codes of its vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor.interfaces.tokenizer import Codebook
from stentor_tts.codec import front
from stentor_tts.codec.network import Decoder, DecoderState, Encoder, EncoderState, Shape
from stentor_tts.codec.quantisers import FiniteScalars, Quantiser, ResidualCodebooks
from stentor_tts.convnext import mask_of
from stentor_tts.mel import FRAME_RATE, HOP, SAMPLE_RATE, log_mel
from stentor_tts.vocoders.heads import FourierHead, SourceFilterHead
from stentor_tts.vocoders.trained import fill

HeadName = Literal["source-filter", "fourier"]
_HEADS = {"source-filter": SourceFilterHead, "fourier": FourierHead}


class TrainableCodec(Codec):
    """A codec that the task `neural-codec` can train."""

    @abstractmethod
    def learn(self, audio: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        """What becomes of waveforms [B, N] of whole groups, a loss (scalar) besides that of the waveform, and named
        parts of that to log."""


class NeuralCodec(TrainableCodec):
    """What `FSQCodec` and `RVQCodec` share.

    Log-mel frames go through causal ConvNeXt blocks at two rates to a vector for every code frame; from its codes, a
    mirrored network makes log-mel frames and features for a vocoder's head. So phases are made anew, not coded. The
    encoder sees 15 ms beyond a group; what it gives for a group is final.
    """

    capabilities = frozenset({"decode", "streaming"})

    def __init__(self, declared: CodecSpec, quantiser: Quantiser, shape: Shape, head: HeadName, run: str) -> None:
        super().__init__()
        self.declared, self.trained_by = declared, run
        self.encoder = Encoder(shape, quantiser.dim)
        self.quantiser = quantiser
        self.decoder = Decoder(shape, quantiser.dim, _HEADS[head](shape.dim))

    def load_pretrained(self) -> dict[str, str]:
        return fill(self, self.trained_by, "codec")

    @property
    def delay(self) -> float:
        return front.AHEAD / SAMPLE_RATE

    def learn(self, audio: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        vectors, _ = self.encoder.step(audio, self.encoder.initial_state(len(audio)), last=True)
        kept, commitment = self.quantiser(vectors)
        start = int(torch.randint(1 << 20, ())) if self.training else 0
        state = self.decoder.initial_state(len(audio), start=start)
        made, frames, state = self.decoder.frames(kept, state)
        samples, _ = self.decoder.head.step(made, frames, state.head, last=True)
        level = (frames - log_mel(audio)).abs().mean()
        cost, parts = self.decoder.head.cost(made, frames, audio)
        parts |= {"level_distance": float(level.detach()), "commitment": float(commitment.detach())}
        return samples, 5 * level + commitment + cost, parts

    def encode(self, audio: Tensor, lengths: Tensor) -> list[Codes]:
        inside = torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]
        found, _ = self.step(audio * inside, self.initial_state(len(audio)), last=True)
        groups = (lengths // self.declared.group_samples).tolist()
        return [tuple(book[:count] for book in row) for row, count in zip(found, groups, strict=True)]

    def decode(self, codes: Sequence[Codes]) -> tuple[Tensor, Tensor]:
        groups = torch.tensor([len(row[0]) for row in codes], device=self.decoder.level.weight.device)
        stacked = torch.zeros(len(codes), int(groups.max()), len(codes[0]), dtype=torch.int64, device=groups.device)
        for row, books in enumerate(codes):
            stacked[row, : len(books[0])] = torch.stack(books, -1)
        mask = mask_of(groups * self.decoder.ratio, stacked.shape[1] * self.decoder.ratio)
        samples, _ = self._speak(stacked, self.initial_decode_state(len(codes)), last=True, mask=mask)
        return samples, groups * self.declared.group_samples

    def initial_state(self, batch: int) -> EncoderState:
        return self.encoder.initial_state(batch)

    def step(self, audio: Tensor, state: EncoderState, *, last: bool = False) -> tuple[list[Codes], EncoderState]:
        vectors, state = self.encoder.step(audio, state, last=last)
        return [row.unbind(-1) for row in self.quantiser.codes(vectors)], state

    def initial_decode_state(self, batch: int) -> DecoderState:
        return self.decoder.initial_state(batch)

    def decode_step(
        self, codes: Sequence[Codes], state: DecoderState, *, last: bool = False
    ) -> tuple[Tensor, DecoderState]:
        return self._speak(torch.stack([torch.stack(row, -1) for row in codes]), state, last=last)

    def _speak(
        self, codes: Tensor, state: DecoderState, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        vectors = self.quantiser.vectors(codes).to(self.decoder.level.weight.dtype)
        return self.decoder.step(vectors, state, last=last, mask=mask)


class FSQCodec(NeuralCodec):
    """Neural codec of ConvNeXt blocks with finite scalar quantisation (Mentzer et al., arXiv 2309.15505).

    Args:
        frame_rate: code frames per second (Hz), a whole part of 100.
        codebooks: codes in a frame, side by side.
        levels: of the numbers in a code; their product is the size of a codebook.
        dim: width at 100 frames per second.
        layers: ConvNeXt blocks there, in the encoder and in the decoder.
        inner: width at the codes' rate.
        inner_layers: ConvNeXt blocks there, in the encoder and in the decoder.
        expansion: width inside of a block over that outside.
        head: what makes samples: ``source-filter`` for voices, learned in minutes, or ``fourier`` for any sound.
        run: folder of a run whose trained codec it shall be; empty: it is trained here.
    """

    def __init__(
        self,
        *,
        frame_rate: float = 25.0,
        codebooks: int = 4,
        levels: tuple[int, ...] = (8, 5, 5, 5),
        dim: int = 192,
        layers: int = 3,
        inner: int = 256,
        inner_layers: int = 3,
        expansion: int = 3,
        head: HeadName = "source-filter",
        run: str = "",
    ) -> None:
        declared = self.spec(frame_rate=frame_rate, codebooks=codebooks, levels=levels)
        shape = Shape(dim, layers, inner, inner_layers, expansion, declared.group_samples // HOP)
        super().__init__(declared, FiniteScalars(levels, codebooks), shape, head, run)

    @classmethod
    def spec(
        cls,
        *,
        frame_rate: float = 25.0,
        codebooks: int = 4,
        levels: tuple[int, ...] = (8, 5, 5, 5),
        **_: Any,
    ) -> CodecSpec:
        return _spec(frame_rate, FiniteScalars(levels, codebooks).sizes)


class RVQCodec(NeuralCodec):
    """Neural codec of ConvNeXt blocks with residual vector quantisation (SoundStream, arXiv 2107.03312).

    Args:
        frame_rate: code frames per second (Hz), a whole part of 100.
        codebooks: codes in a frame, each of what those before it left.
        size: of a codebook.
        width: of the vectors in the codebooks.
        dim: width at 100 frames per second.
        layers: ConvNeXt blocks there, in the encoder and in the decoder.
        inner: width at the codes' rate.
        inner_layers: ConvNeXt blocks there, in the encoder and in the decoder.
        expansion: width inside of a block over that outside.
        head: what makes samples: ``source-filter`` for voices, learned in minutes, or ``fourier`` for any sound.
        run: folder of a run whose trained codec it shall be; empty: it is trained here.
    """

    def __init__(
        self,
        *,
        frame_rate: float = 25.0,
        codebooks: int = 4,
        size: int = 1024,
        width: int = 16,
        dim: int = 192,
        layers: int = 3,
        inner: int = 256,
        inner_layers: int = 3,
        expansion: int = 3,
        head: HeadName = "source-filter",
        run: str = "",
    ) -> None:
        declared = self.spec(frame_rate=frame_rate, codebooks=codebooks, size=size)
        shape = Shape(dim, layers, inner, inner_layers, expansion, declared.group_samples // HOP)
        super().__init__(declared, ResidualCodebooks(size, codebooks, width), shape, head, run)

    @classmethod
    def spec(cls, *, frame_rate: float = 25.0, codebooks: int = 4, size: int = 1024, **_: Any) -> CodecSpec:
        ranges.refuse({"size": (size, ranges.least(size, 2))}, "codec.")
        return _spec(frame_rate, (size,) * codebooks)


def _spec(frame_rate: float, sizes: Sequence[int]) -> CodecSpec:
    if not sizes:
        raise StentorError("it needs at least one codebook.", path="codec.codebooks", value=0)
    ratio = FRAME_RATE / frame_rate if frame_rate > 0 else 0
    if ratio < 1 or ratio != round(ratio):
        raise StentorError(f"it must be a whole part of {FRAME_RATE:g} Hz, e.g. 25 or 12.5, not {frame_rate:g}.",
                           path="codec.frame_rate", value=frame_rate)  # fmt: skip
    books = tuple(Codebook(f"codes-{place}", size, frame_rate) for place, size in enumerate(sizes, 1))
    return CodecSpec(SAMPLE_RATE, books, (1,) * len(books), round(ratio) * HOP)
