"""What both flow-matching decoders share: conditions, training loss, sampling whole and by the chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor_tts.flow.conditions import CodeEncoder, Speaker
from stentor_tts.flow.examples import examples
from stentor_tts.flow.grid import Grid
from stentor_tts.flow.layers import TimeEmbedding
from stentor_tts.flow.memory import Memory
from stentor_tts.flow.networks import Network
from stentor_tts.flow.noise import noise, times
from stentor_tts.flow.sight import See, over_chunk, over_whole
from stentor_tts.flow.stream import FlowState, Memories, Voice
from stentor_tts.flow.voices import VoiceWarp
from stentor_tts.interfaces import Acoustic, Reference
from stentor_tts.mel import BINS, FRAME_RATE, LOWEST, normalised, restored
from stentor_tts.vocoders.trained import fill

_NEAREST = 0.5
"""Errors of the clean end are divided by what is left of the path, which makes them those of the velocity, but by no
less than this: what is heard is decided early, and the last of the noise would outweigh it."""
_LONGEST = 10.0
"""What is heard of a reference (s)."""
_FORMANTS, _PITCH, _COLOUR = 1.15, 1.2, 2.0


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
        temperature: scale of the noise that sampling begins with.
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
        temperature: float,
        guidance: float,
        drop: float,
        variation: float,
        run: str,
    ) -> None:
        super().__init__(codec)
        if heads < 1 or dim % (4 * heads):
            raise StentorError(f"a width of {dim} does not part into {heads} heads, each a multiple of 4 wide.",
                               path="acoustic.dim", value=dim)  # fmt: skip
        if steps < 1 or min(chunk, left, lookahead, temperature, guidance, drop, variation) < 0 or not -1 <= sway <= 0:
            raise StentorError("steps must be at least 1, sway between -1 and 0, all else at least 0.", path="acoustic")
        self.grid = Grid(codec, stack)
        self.chunk, self.left, self.lookahead, self.width = chunk, left, lookahead, dim // heads
        self.steps, self.sway, self.temperature, self.guidance = steps, sway, temperature, guidance
        self.drop, self.run = drop, run
        self.warp = VoiceWarp(variation, _FORMANTS, _PITCH, _COLOUR) if variation else None
        self.codes = CodeEncoder(self.grid, dim, lookahead)
        self.speaker = Speaker(self.grid.channels, dim)
        self.time = TimeEmbedding(dim)
        self.silent = torch.nn.Parameter(torch.randn(dim) * 0.02)

    def load_pretrained(self) -> dict[str, str]:
        return fill(self, self.run, "acoustic")

    @property
    def streams(self) -> bool:
        """Whether it works by the chunk."""
        return self.chunk > 0

    @property
    def _size(self) -> int:
        """Positions in a chunk; 0 without chunks."""
        return self.chunk * self.grid.positions

    @property
    def delay(self) -> int:
        return max(0, self.chunk - 1 + self.lookahead)

    def loss(
        self, codes: Sequence[Codes], mels: Sequence[Tensor], speakers: Sequence[str]
    ) -> tuple[Tensor, dict[str, float]]:
        like, rows = self.silent, len(mels)
        chance = None if self.training else torch.Generator().manual_seed(0)
        mels = [mel.to(like) for mel in mels]
        warp = self.warp if self.training else None
        made = examples(self.grid, codes, mels, speakers, warp=warp, chance=chance)
        lot, known_codes, fractions = torch.rand(3, rows, generator=chance).to(like)
        said = self._said(made.codes, made.valid)
        said = torch.where((lot < self.drop)[:, None, None], self.silent, said)
        shown = self.codes.embed(made.reference_codes) * (known_codes >= self.drop)[:, None, None]
        voice = self._voice(made.reference, shown, made.reference_valid & (lot >= 1.5 * self.drop)[:, None])
        t = (torch.randperm(rows, generator=chance).to(like) + fractions) / rows
        start, path = torch.randn(made.target.shape, generator=chance).to(like), t[:, None, None]
        mixed = (1 - path) * start + path * made.target
        see = over_whole(made.valid, voice.valid, chunk=self._size, left=self.left, width=self.width, like=like)
        clean = self.network(mixed, said, self.time(t) + voice.vector, voice.heard, see)
        errors = ((clean - made.target) ** 2).mean(dim=-1) * made.counted
        counted = made.counted.sum().clamp(min=1)
        loss = (errors / (1 - t[:, None]).clamp(min=_NEAREST) ** 2).sum() / counted
        return loss, {"mel": float(errors.sum().detach() / counted)}

    @torch.no_grad()
    def generate(
        self, codes: Sequence[Codes], references: Sequence[Reference | None], *, seed: int = 0
    ) -> list[Tensor]:
        packed, groups = self.grid.pack(codes, self.silent.device)
        ends = groups * self.grid.positions
        total = max(ends.tolist(), default=0)
        if not total:
            return [self.silent.new_zeros(0, BINS) for _ in codes]
        valid = torch.arange(total, device=ends.device) < ends[:, None]
        said = self._said(packed, valid)
        state, made = FlowState(self.voice(references), seed), []
        for part, there in zip(said.split(self._size or total, 1), valid.split(self._size or total, 1), strict=True):
            clean, memories = self._sample(part, there, state)
            state = state.after(part.shape[1], 0, memories)
            made.append(clean)
        rows = zip(self._mel(torch.cat(made, dim=1)), (ends * self.grid.stack).tolist(), strict=True)
        return [row[:count] for row, count in rows]

    @torch.no_grad()
    def initial_state(self, reference: Reference | None, *, seed: int = 0) -> FlowState:
        if not self.streams:
            raise StentorError("it makes the whole utterance at once; acoustic.chunk above 0 makes it stream.",
                               path="acoustic.chunk", value=self.chunk)  # fmt: skip
        return FlowState(self.voice([reference]), seed)

    @torch.no_grad()
    def step(self, codes: Codes, state: FlowState, *, last: bool = False) -> tuple[Tensor, FlowState]:
        margin = self.codes.margin
        state = state.joined(self.codes.embed(self.grid.pack([codes], self.silent.device)[0]))
        made = [self.silent.new_zeros(1, 0, self.grid.channels)]
        while count := state.ready(self._size, margin, last=last):
            said = self.codes(*state.window(count, margin))
            valid = torch.ones(1, count, dtype=torch.bool, device=said.device)
            clean, memories = self._sample(said, valid, state)
            state = state.after(count, margin, memories)
            made.append(clean)
        return self._mel(torch.cat(made, dim=1))[0], state

    @torch.no_grad()
    def voice(self, references: Sequence[Reference | None]) -> Voice:
        """What the network knows of each reference; with guidance, as many rows of nobody behind them."""
        positions, stack = self.grid.positions, self.grid.frames
        most = round(_LONGEST * FRAME_RATE / stack)
        counts = [min(most, len(one.mel) // stack) if one else 0 for one in references]
        rows = len(references) * (2 if self.guidance else 1)
        mel = self.silent.new_zeros(rows, max([1, *counts]) * positions, self.grid.channels)
        codes = mel.new_zeros(*mel.shape[:2], len(self.silent))
        for row, (one, count) in enumerate(zip(references, counts, strict=True)):
            if one is not None:
                mel[row, : count * positions] = self.grid.stacked(normalised(one.mel[: count * stack].to(mel)))
            if one is not None and one.codes is not None:
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

    def _sample(self, said: Tensor, valid: Tensor, state: FlowState) -> tuple[Tensor, Memories]:
        """Clean positions [B, T, C] of the chunk that comes next, and what the one after it has to remember."""
        rows, count = said.shape[:2]
        positions, voice = self.grid.positions, state.voice
        x = noise(state.seed, state.done // positions, count // positions, positions, self.grid.channels).to(said)
        x = (x * self.temperature).expand(rows, -1, -1)
        if self.guidance:
            said, valid = torch.cat([said, self.silent.expand_as(said)]), valid.repeat(2, 1)
        kept = []
        for number, (now, then) in enumerate(pairwise(times(self.steps, self.sway))):
            memory = Memory(state.memories[number] if state.memories else ())
            reach = self.left * self._size
            see = over_chunk(valid, voice.valid, state.done, reach=reach, width=self.width, memory=memory, like=said)
            clean = self._guided(x, said, now, voice, see)
            x = x + (then - now) / (1 - now) * (clean - x)
            kept.append(tuple(memory.kept))
        return x, tuple(kept)

    def _guided(self, x: Tensor, said: Tensor, t: float, voice: Voice, see: See) -> Tensor:
        rows = len(x)
        both = x.repeat(2, 1, 1) if self.guidance else x
        condition = self.time(x.new_full((len(both),), t)) + voice.vector
        clean: Tensor = self.network(both, said, condition, voice.heard, see)
        return clean[:rows] + self.guidance * (clean[:rows] - clean[rows:]) if self.guidance else clean

    def _mel(self, positions: Tensor) -> Tensor:
        return restored(self.grid.unstacked(positions)).clamp(min=LOWEST)
