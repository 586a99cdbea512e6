"""What both flow-matching decoders share: conditions, training loss, sampling whole and by the chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.train import parts
from stentor_tts.flow.conditions import CodeEncoder, Speaker
from stentor_tts.flow.examples import examples
from stentor_tts.flow.grid import Grid
from stentor_tts.flow.layers import KeyValue, Sight, TimeEmbedding, turns
from stentor_tts.flow.memory import Memory
from stentor_tts.flow.networks import Network
from stentor_tts.flow.noise import noise, times
from stentor_tts.flow.voices import VoiceWarp
from stentor_tts.interfaces import Acoustic, Reference
from stentor_tts.mel import BINS, LOWEST, normalised, restored

_NEAREST = 0.5
"""Errors of the clean end are divided by what is left of the path, which makes them those of the velocity, but by no less
than this: what is heard is decided early, and the last of the noise would outweigh it."""
_LONGEST = 10.0
"""What is heard of a reference (s)."""
_FORMANTS, _PITCH, _COLOUR = 1.15, 1.2, 2.0
Memories = tuple[tuple[Tensor, ...], ...]


@dataclass(frozen=True)
class Voice:
    """What the network knows of who speaks.

    Attributes:
        vector: [B, D].
        heard: keys and values of the reference's tokens, for each attention.
        valid: which of the tokens exist, bool [B, R].
    """

    vector: Tensor
    heard: list[KeyValue]
    valid: Tensor


@dataclass(frozen=True)
class FlowState:
    """Where one stream stands; it belongs to that stream and is never changed.

    Attributes:
        voice: who speaks.
        seed: of its noise.
        done: groups whose frames are out.
        waiting: embedded codes [1, T, D], from the look-around of the next chunk on.
        memories: for each Euler step, what the layers remember of past chunks.
    """

    voice: Voice
    seed: int
    done: int
    waiting: Tensor
    memories: Memories


class FlowDecoder(Acoustic):
    """Conditional flow matching (Lipman et al. 2022, arXiv 2210.02747) on straight, optimal-transport paths.

    The network tells the clean end of the path, from which follows its velocity (Li and He 2025, arXiv 2511.13720):
    positions stack several frames, more values than a narrow network could carry noise of. Every position attends to
    its own chunk, to `left` chunks before it and to the reference, in training as in use, so that a stream is the
    offline result. Subclasses set `network`.

    Args:
        codec: whose codes it speaks.
        dim: width.
        heads: of attention.
        stack: mel frames at one position.
        chunk: groups that are made at once; 0 makes the whole utterance at once and does not stream.
        left: chunks that a chunk looks back on.
        lookahead: groups behind a chunk whose codes it sees.
        steps: of Euler's method.
        sway: how much closer together the steps lie at the beginning, see `noise.times`.
        guidance: classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598); 0 is none.
        drop: share of training rows without any condition; half as many more are without reference.
        variation: share of training rows in a voice that is drawn, see `voices.VoiceWarp`.
        run: a trained run whose acoustic model this is.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"streaming"})
    network: Network

    def __init__(
        self,
        codec: CodecSpec,
        *,
        dim: int,
        heads: int,
        stack: int,
        chunk: int,
        left: int,
        lookahead: int,
        steps: int,
        sway: float,
        guidance: float,
        drop: float,
        variation: float,
        run: str,
    ) -> None:
        super().__init__(codec)
        if dim % (4 * heads):
            raise StentorError(f"a width of {dim} does not part into {heads} heads, each a multiple of 4 wide.",
                               path="acoustic.dim", value=dim)  # fmt: skip
        if steps < 1 or min(chunk, left, lookahead, guidance, drop, variation) < 0 or not -1 <= sway <= 0:
            raise StentorError("steps must be at least 1, sway between -1 and 0, all else at least 0.", path="acoustic")
        self.grid = Grid(codec, stack)
        self.chunk, self.left, self.lookahead, self.width = chunk, left, lookahead, dim // heads
        self.steps, self.sway, self.guidance, self.drop, self.run = steps, sway, guidance, drop, run
        self.warp = VoiceWarp(variation, _FORMANTS, _PITCH, _COLOUR) if variation else None
        self.codes = CodeEncoder(self.grid, dim, lookahead)
        self.speaker = Speaker(self.grid.channels, dim)
        self.time = TimeEmbedding(dim)
        self.silent = torch.nn.Parameter(torch.randn(dim) * 0.02)

    def load_pretrained(self) -> dict[str, str]:
        if not self.run:
            return {}
        tensors, told = parts.tensors_of(self.run, "acoustic")
        try:
            self.load_state_dict(tensors)
        except RuntimeError as cause:
            raise StentorError(f"the acoustic model of run '{self.run}' has another shape than is configured here.",
                               path="acoustic.run", value=self.run) from cause  # fmt: skip
        return told

    @property
    def streams(self) -> bool:
        """Whether it works by the chunk."""
        return self.chunk > 0

    @property
    def delay(self) -> int:
        return max(0, self.chunk - 1 + self.lookahead)

    def loss(
        self, codes: Sequence[Codes], mels: Sequence[Tensor], speakers: Sequence[str]
    ) -> tuple[Tensor, dict[str, float]]:
        like = self.silent
        chance = None if self.training else torch.Generator().manual_seed(0)
        mels = [mel.to(like) for mel in mels]
        made = examples(self.grid, codes, mels, speakers, self.warp if self.training else None, chance)
        rows = len(mels)

        def drawn(*size: int) -> Tensor:
            return torch.rand(*size, generator=chance).to(like)

        lot = drawn(rows, 1)
        said = torch.where((lot < self.drop)[..., None], self.silent, self._said(made.codes, made.valid))
        known = made.reference_valid & (lot >= 1.5 * self.drop)
        with_codes = (drawn(rows, 1, 1) >= self.drop).to(like)
        voice = self._voice(made.reference, self.codes.embed(made.reference_codes) * with_codes, known)
        t = ((torch.randperm(rows, generator=chance).to(like) + drawn(rows)) / rows)[:, None, None]
        start = torch.randn(made.target.shape, generator=chance).to(like)
        mixed = (1 - t) * start + t * made.target
        clean = self._clean(mixed, said, t[:, 0, 0], voice, self._whole(made.valid, voice))
        errors = ((clean - made.target) ** 2).mean(dim=-1)
        weights = made.counted / (1 - t[..., 0]).clamp(min=_NEAREST) ** 2
        counted = made.counted.sum().clamp(min=1)
        return (errors * weights).sum() / counted, {"mel": float((errors * made.counted).sum().detach() / counted)}

    @torch.no_grad()
    def generate(
        self, codes: Sequence[Codes], references: Sequence[Reference | None], *, seed: int = 0
    ) -> list[Tensor]:
        packed, groups = self.grid.pack(codes, self.silent.device)
        ends = groups * self.grid.positions
        total = int(groups.max()) if len(codes) else 0
        if not total:
            return [self.silent.new_zeros(0, BINS) for _ in codes]
        valid = torch.arange(total * self.grid.positions, device=ends.device) < ends[:, None]
        said, voice = self._said(packed, valid), self.voice(references)
        memories: Memories = ()
        made = []
        for first in range(0, total, self.chunk or total):
            span = slice(first * self.grid.positions, (first + (self.chunk or total)) * self.grid.positions)
            clean, memories = self._sample(said[:, span], valid[:, span], first, voice, seed, memories)
            made.append(clean)
        frames = (ends * self.grid.stack).tolist()
        rows = zip(self._mel(torch.cat(made, dim=1)), frames, strict=True)
        return [row[:count] for row, count in rows]

    @torch.no_grad()
    def initial_state(self, reference: Reference | None, *, seed: int = 0) -> FlowState:
        if not self.streams:
            raise StentorError("it makes the whole utterance at once; acoustic.chunk above 0 makes it stream.",
                               path="acoustic.chunk", value=self.chunk)  # fmt: skip
        return FlowState(self.voice([reference]), seed, 0, self.silent.new_zeros(1, 0, len(self.silent)), ())

    @torch.no_grad()
    def step(self, codes: Codes, state: FlowState, *, last: bool = False) -> tuple[Tensor, FlowState]:
        packed, _ = self.grid.pack([codes], self.silent.device)
        state = replace(state, waiting=torch.cat([state.waiting, self.codes.embed(packed)], dim=1))
        made = [self.silent.new_zeros(1, 0, self.grid.channels)]
        while (take := self._ready(state, last)) > 0:
            clean, state = self._advance(state, take)
            made.append(clean)
        return self._mel(torch.cat(made, dim=1))[0], state

    def voice(self, references: Sequence[Reference | None]) -> Voice:
        """What the network knows of each reference; with guidance as many rows of nobody behind them."""
        positions = self.grid.positions
        most = round(_LONGEST * 100 / self.grid.frames)
        counts = [min(most, len(one.mel) // self.grid.frames) if one else 0 for one in references]
        rows = len(references) * (2 if self.guidance else 1)
        mel = self.silent.new_zeros(rows, max([1, *counts]) * positions, self.grid.channels)
        codes = mel.new_zeros(*mel.shape[:2], len(self.silent))
        for row, (one, count) in enumerate(zip(references, counts, strict=True)):
            if one is None or not count:
                continue
            frames = one.mel[: count * self.grid.frames].to(mel)
            mel[row, : count * positions] = self.grid.stacked(normalised(frames))
            if one.codes is not None:
                known = self.codes.embed(self.grid.pack([one.codes], mel.device)[0])[0, : count * positions]
                codes[row, : len(known)] = known
        ends = torch.tensor(counts + [0] * (rows - len(counts)), device=mel.device) * positions
        return self._voice(mel, codes, torch.arange(mel.shape[1], device=mel.device) < ends[:, None])

    def _voice(self, mel: Tensor, codes: Tensor, valid: Tensor) -> Voice:
        tokens, vector = self.speaker(mel, codes, valid)
        heard = [attention.hear(tokens) for attention in self.network.attentions]
        return Voice(vector, heard, functional.pad(valid, (1, 0), value=True))

    def _said(self, codes: Sequence[Tensor], valid: Tensor) -> Tensor:
        around = self.codes.margin
        embedded = functional.pad(self.codes.embed(codes), (0, 0, around, around))
        made: Tensor = self.codes(embedded, functional.pad(valid, (around, around)))
        return made

    def _clean(self, x: Tensor, said: Tensor, t: Tensor, voice: Voice, see: Callable[[int], Sight]) -> Tensor:
        made: Tensor = self.network(x, said, self.time(t) + voice.vector, voice.heard, see)
        return made

    def _whole(self, valid: Tensor, voice: Voice) -> Callable[[int], Sight]:
        """What may be attended to in a pass over whole utterances: what chunk after chunk would see."""

        @cache
        def see(stride: int) -> Sight:
            seen = valid[:, ::stride]
            count = seen.shape[1]
            chunk = torch.arange(count, device=seen.device) * stride // (self.chunk * self.grid.positions or 2**31)
            apart = chunk[:, None] - chunk
            own = (apart >= 0) & (apart <= self.left) & seen[:, None]
            allowed = torch.cat([voice.valid[:, None].expand(-1, count, -1), own], dim=-1)
            return Sight(turns(0, count, self.width, voice.vector), _added(allowed[:, None], voice.vector), 0, None)

        return see

    def _sample(
        self, said: Tensor, valid: Tensor, first: int, voice: Voice, seed: int, memories: Memories
    ) -> tuple[Tensor, Memories]:
        """Clean positions [B, T, C] of the chunk that begins with group `first`, and what the next has to remember."""
        rows, count = said.shape[:2]
        drawn = noise(seed, first, count // self.grid.positions, self.grid.positions, self.grid.channels)
        x = drawn.to(said).expand(rows, -1, -1)
        if self.guidance:
            said, valid = torch.cat([said, self.silent.expand_as(said)]), valid.repeat(2, 1)
        kept = []
        for number, (now, then) in enumerate(pairwise(times(self.steps, self.sway))):
            memory = Memory(memories[number] if memories else ())
            t = x.new_full((len(said),), now)
            both = x.repeat(2, 1, 1) if self.guidance else x
            clean = self._clean(both, said, t, voice, self._near(valid, first, voice, memory))
            if self.guidance:
                clean = clean[:rows] + self.guidance * (clean[:rows] - clean[rows:])
            x = x + (then - now) / (1 - now) * (clean - x)
            kept.append(tuple(memory.kept))
        return x, tuple(kept)

    def _near(self, valid: Tensor, first: int, voice: Voice, memory: Memory) -> Callable[[int], Sight]:
        """What may be attended to in a pass over one chunk: all of it, and all that is remembered."""
        begin, reach = first * self.grid.positions, self.left * self.chunk * self.grid.positions

        @cache
        def see(stride: int) -> Sight:
            seen = valid[:, ::stride]
            past = seen.new_ones(len(seen), min(begin, reach) // stride)
            allowed = torch.cat([voice.valid, past, seen], dim=1)
            mask = None if bool(allowed.all()) else _added(allowed[:, None, None], voice.vector)
            where = turns(begin // stride, seen.shape[1], self.width, voice.vector)
            return Sight(where, mask, reach // stride, memory if self.streams else None)

        return see

    def _ready(self, state: FlowState, last: bool) -> int:
        """How many groups can be made now."""
        waiting = (state.waiting.shape[1] - self._before(state)) // self.grid.positions
        if last and waiting <= self.chunk:
            return waiting
        return self.chunk if last or waiting >= self.chunk + self.lookahead else 0

    def _before(self, state: FlowState) -> int:
        """Positions that are waiting although they are done: the next chunk looks around."""
        return min(state.done * self.grid.positions, self.codes.margin)

    def _advance(self, state: FlowState, take: int) -> tuple[Tensor, FlowState]:
        margin, before, count = self.codes.margin, self._before(state), take * self.grid.positions
        window = state.waiting[:, : before + count + margin]
        around = margin - before, before + count + margin - window.shape[1]
        valid = functional.pad(window.new_ones(1, window.shape[1], dtype=torch.bool), around)
        said = self.codes(functional.pad(window, (0, 0, *around)), valid)
        seen = valid.new_ones(1, count)
        clean, memories = self._sample(said, seen, state.done, state.voice, state.seed, state.memories)
        done = state.done + take
        rest = state.waiting[:, before + count - min(done * self.grid.positions, margin) :]
        return clean, replace(state, done=done, waiting=rest, memories=memories)

    def _mel(self, positions: Tensor) -> Tensor:
        return restored(self.grid.unstacked(positions)).clamp(min=LOWEST)


def _added(allowed: Tensor, like: Tensor) -> Tensor:
    """A mask to add to logits: 0 where `allowed`, minus infinity elsewhere."""
    return torch.zeros(allowed.shape, dtype=like.dtype, device=like.device).masked_fill(~allowed, -torch.inf)
