"""Codec ``dual``: a linguistic and a semantic stream of codes, two and three in 120 ms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor, nn

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.interfaces.tokenizer import Codebook
from stentor.train import assembly, parts
from stentor_tts.mel import BINS, SAMPLE_RATE
from stentor_tts.tokenizer.centroids import Centroids
from stentor_tts.tokenizer.features import GROUP, PATTERN, GroupFeatures, Windows

Streams = Literal["both", "linguistic", "semantic"]
_GROUP_SECONDS = GROUP / SAMPLE_RATE
_WHISPER = MappingProxyType({"name": "whisper"})


@dataclass(frozen=True)
class DualState:
    """Of streams that began together: the samples [B, n] still needed, how many came before them, groups done."""

    audio: Tensor
    before: int
    done: int


class DualCodec(Codec):
    """Two k-means codebooks in groups of 120 ms: two linguistic, three semantic codes (Step-Audio, arXiv 2502.11946).

    The linguistic stream (16.7 Hz) quantises the states of a recogniser's encoder, averaged over 60 ms: what is said.
    The semantic stream (25 Hz) quantises what such states lose, over 40 ms: level (never normalised), voicing, pitch
    (YIN) and the envelope of the log-mel spectrum, and the states too where `states` is above 0. Digital silence is one
    code. Codes are those of the run that `run` names; without one the centroids are random, for training to begin with.
    The encoder is built when a waveform is first encoded, so what only needs the spec never has it in memory.

    It streams where `block` is above 0: a block of groups is then encoded in a window of its own, offline too.

    Args:
        run: folder of a run that trained this codec (recipe `tts/tokenizer`); empty: untrained.
        streams: which streams to use; a run that trained both serves all three.
        linguistic: codes of the linguistic stream.
        semantic: codes of the semantic stream.
        encoder: of the linguistic stream, 50 frames per second or another multiple of 16.7 (25 too, with `states`).
        level: weight of 10 dB in the semantic stream.
        pitch: weight of 0.3 of the natural logarithm, five semitones.
        voicing: weight of voiced against unvoiced.
        envelope: weight of 1 neper over the whole log-mel envelope.
        states: weight of the standardised encoder states in the semantic stream; 0 leaves them out.
        block: groups encoded at a time, in seconds, a multiple of 0.12 s; 0: whole utterances.
        left: what the encoder sees before a block (s).
        right: what the encoder sees after a block (s), which a stream waits for.
    """

    capabilities = frozenset({"streaming"})
    source: Tensor

    def __init__(
        self,
        *,
        run: str = "",
        streams: Streams = "both",
        linguistic: int = 1024,
        semantic: int = 1024,
        encoder: Annotated[Mapping[str, Any], ComponentOf("encoder")] = _WHISPER,
        level: float = 1.3,
        pitch: float = 1.3,
        voicing: float = 1.0,
        envelope: float = 0.7,
        states: float = 0.0,
        block: float = 0.0,
        left: float = 1.92,
        right: float = 0.24,
    ) -> None:
        super().__init__()
        self.declared = self.spec(
            streams=streams, linguistic=linguistic, semantic=semantic, block=block, left=left, right=right
        )
        self.run, self.section, self.states = run, dict(encoder), states > 0
        self.windows = Windows(*(round(seconds / _GROUP_SECONDS) for seconds in (block, left, right)))
        self.names = tuple(codebook.name for codebook in self.declared.codebooks)
        self.hears = "linguistic" in self.names or self.states
        dim = _encoder_spec(self.section).dim if self.hears else 0
        weights = torch.tensor([level / 10, voicing, pitch / 0.3, *[envelope / BINS**0.5] * BINS])
        made = {
            "linguistic": lambda size: Centroids(size, weights[:0], dim),
            "semantic": lambda size: Centroids(size, weights, dim if self.states else 0, weight=states),
        }
        self.books = nn.ModuleDict({book.name: made[book.name](book.size) for book in self.declared.codebooks})
        self.register_buffer("source", torch.zeros(32, dtype=torch.uint8))
        self._features: list[GroupFeatures] = []

    @classmethod
    def spec(
        cls,
        *,
        streams: Streams = "both",
        linguistic: int = 1024,
        semantic: int = 1024,
        block: float = 0.0,
        left: float = 1.92,
        right: float = 0.24,
        **_: Any,
    ) -> CodecSpec:
        sizes = {"linguistic": linguistic, "semantic": semantic}
        windows = {"block": block, "left": left, "right": right}
        few = {name: (size, ranges.least(size, 2)) for name, size in sizes.items()}
        ranges.refuse({**few, **{name: (value, _whole(value)) for name, value in windows.items()}}, "codec.")
        kept = [name for name in PATTERN if streams in ("both", name)]
        books = tuple(Codebook(name, sizes[name], PATTERN[name] / _GROUP_SECONDS) for name in kept)
        return CodecSpec(SAMPLE_RATE, books, tuple(PATTERN[name] for name in kept), GROUP)

    @property
    def streams(self) -> bool:
        return self.windows.block > 0

    @property
    def delay(self) -> float:
        return (self.windows.block + self.windows.right) * _GROUP_SECONDS

    def load_pretrained(self) -> dict[str, str]:
        """Read the centroids of `run`; without a run, the weights of the encoder that they are to be trained on."""
        if not self.run:
            return self._hear()[1] if self.hears else {}
        found, told = parts.tensors_of(self.run, "codec")
        own = self.state_dict()
        for name, tensor in own.items():
            if name not in found or found[name].shape != tensor.shape:
                there = tuple(found[name].shape) if name in found else "nothing"
                raise StentorError(f"its '{name}' is {tuple(tensor.shape)} here and {there} in the run '{self.run}'; "
                                   f"give the codec the settings that the run has.", path="codec")  # fmt: skip
        self.load_state_dict({name: found[name] for name in own})
        return told

    def encode(self, audio: Tensor, lengths: Tensor) -> list[Codes]:
        rows = zip(audio, lengths.tolist(), strict=True)
        return [self._joined([self.quantise(block) for block in self.features().row(row[:n])]) for row, n in rows]

    def features(self) -> GroupFeatures:
        """What gives the features that are quantised; builds the encoder and reads its weights, once.

        Raises:
            StentorError: when there is no such encoder, its rate does not fit, or its weights are not those that the
                centroids were trained with.
        """
        if not self._features:
            encoder = self._verified() if self.hears else None
            self._features.append(GroupFeatures(encoder, self.windows, self.names, states=self.states))
        return self._features[0].to(next(self.books.parameters())).eval()

    def quantise(self, features: Tensor) -> Codes:
        """Codes of the groups [G, F] of one utterance."""
        return tuple(book(frames) for book, frames in self.frames(features))

    def frames(self, features: Tensor) -> list[tuple[Centroids, Tensor]]:
        """Each stream's centroids and its frames [G * per group, width] in features [G, F]."""
        books = [cast(Centroids, self.books[name]) for name in self.names]
        per = [PATTERN[name] for name in self.names]
        widths = [count * (1 + book.weight.shape[1]) for book, count in zip(books, per, strict=True)]
        split = torch.split(features, widths, -1)
        return [(book, part.reshape(-1, 1 + book.weight.shape[1])) for book, part in zip(books, split, strict=True)]

    def initial_state(self, batch: int) -> DualState:
        if not self.streams:
            raise self.no_streaming()
        return DualState(torch.zeros(batch, 0), 0, 0)

    @torch.no_grad()
    def step(self, audio: Tensor, state: DualState, *, last: bool = False) -> tuple[list[Codes], DualState]:
        held, done = torch.cat([state.audio.to(audio), audio], 1), state.done
        found: list[list[Codes]] = [[] for _ in audio]
        for first, end, start, stop in self.windows.ready(done, state.before + held.shape[1], last=last):
            window = held[:, start - state.before : stop - state.before]
            for row, waveform in zip(found, window, strict=True):
                row.append(self.quantise(self.features().block(waveform, (first - start // GROUP, end - first))))
            done = end
        kept = max(state.before, max(0, done - self.windows.left) * GROUP)
        return [self._joined(row) for row in found], DualState(held[:, kept - state.before :], kept, done)

    def _joined(self, blocks: list[Codes]) -> Codes:
        none = self.source.new_zeros(0, dtype=torch.int64)
        return tuple(torch.cat([none, *(block[place] for block in blocks)]) for place in range(len(self.names)))

    def _hear(self) -> tuple[Encoder, dict[str, str]]:
        """The encoder with its weights, and where they come from; one without a source is the same every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder: Encoder = assembly.build("encoder", self.section, path="codec.encoder")
        for per in {"linguistic": 2, "semantic": 3} if self.states else {"linguistic": 2}:
            _check_rate(encoder, PATTERN[per])
        return encoder.requires_grad_(False).eval(), encoder.load_pretrained()

    def _verified(self) -> Encoder:
        """The encoder; which weights it has is recorded, or they have to be those that were recorded."""
        encoder, told = self._hear()
        digest = torch.tensor(list(bytes.fromhex(told.get("sha256", "")).ljust(32, b"\0")), dtype=torch.uint8)
        if self.run and not torch.equal(self.source.cpu(), digest):
            raise StentorError(f"the encoder's weights ({told.get('source', 'none')}) are not those that the run "
                               f"'{self.run}' was trained with.", path="codec.encoder")  # fmt: skip
        self.source.copy_(digest)
        return encoder

    def __getstate__(self) -> dict[str, Any]:
        """Without the encoder, which a copy builds again."""
        return {**self.__dict__, "_features": []}


def _encoder_spec(section: Mapping[str, Any]) -> EncoderSpec:
    cls = assembly.class_of("encoder", section, path="codec.encoder")
    found: EncoderSpec = cls.spec(**assembly.configured_of(cls, section, path="codec.encoder"))
    return found


def _whole(seconds: float) -> ranges.Finding:
    groups = seconds / _GROUP_SECONDS
    return seconds >= 0 and abs(groups - round(groups)) < 1e-6, f"a multiple of {_GROUP_SECONDS:g} s, not {seconds:g}"


def _check_rate(encoder: Encoder, per: int) -> None:
    frames = encoder.frame_rate * _GROUP_SECONDS / per
    if encoder.sample_rate != SAMPLE_RATE or frames < 1 or abs(frames - round(frames)) > 1e-6:
        raise StentorError(f"the encoder gives {encoder.frame_rate:g} frames per second at {encoder.sample_rate} Hz; "
                           f"{SAMPLE_RATE} Hz and a multiple of {per / _GROUP_SECONDS:.3g} are needed.",
                           path="codec.encoder")  # fmt: skip
