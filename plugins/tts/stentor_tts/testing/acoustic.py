"""The contract of acoustic models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.interfaces.tokenizer import Codebook
from stentor.testing.module import ModuleContract, place
from stentor_tts.interfaces import Reference
from stentor_tts.mel import BINS

SPEC = CodecSpec(16000, (Codebook("linguistic", 40, 50 / 3), Codebook("semantic", 30, 25.0)), (2, 3), 1920)
"""The codec that acoustic models are tried with: groups of two and three codes in 120 ms."""


class AcousticContract(ModuleContract):
    """Checks for acoustic models: frames under codes, seeds, batches, streams, losses."""

    kind = "acoustic"
    groups = (9, 4, 1)

    def wired(self) -> tuple[Any, ...]:
        return (SPEC,)

    def seeded(self, seed: int, **changes: Any) -> Any:
        """As trained: models whose last layers begin at zero would pass without doing anything."""
        module = super().seeded(seed, **changes)
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.device.type != "meta":
                    parameter.add_(0.05 * torch.randn(parameter.shape, generator=chance))
        return module

    def codes(self, groups: int, seed: int = 0) -> Codes:
        """Random codes of so many groups."""
        chance = torch.Generator().manual_seed(seed + groups)
        pairs = zip(SPEC.pattern, SPEC.codebooks, strict=True)
        return tuple(torch.randint(book.size, (groups * n,), generator=chance) for n, book in pairs)

    def mel(self, groups: int, seed: int = 0) -> Tensor:
        """Random frames under so many groups, and some more."""
        chance = torch.Generator().manual_seed(100 + seed)
        return torch.randn(groups * 12 + 5, BINS, generator=chance) * 2 - 5

    def references(self, module: Any) -> list[Reference | None]:
        """One with codes, none, one without codes."""
        device, dtype = place(module)
        with_codes = tuple(row.to(device) for row in self.codes(8))
        return [
            Reference(self.mel(8).to(device, dtype), with_codes),
            None,
            Reference(self.mel(5, 1).to(device, dtype)),
        ]

    def run(self, module: Any) -> Tensor:
        """The loss: what is generated has no gradient."""
        device, dtype = place(module)
        codes = [tuple(row.to(device) for row in self.codes(n)) for n in (9, 4, 6)]
        mels = [self.mel(n).to(device, dtype) for n in (9, 4, 6)]
        loss: Tensor = module.loss(codes, mels, ["one", "one", ""])[0]
        return loss.reshape(1)

    def generate(self, module: Any, *, seed: int = 0) -> list[Tensor]:
        rows: list[Tensor] = module.generate([self.codes(n) for n in self.groups], self.references(module), seed=seed)
        return rows

    def test_frames_under_codes(self) -> None:
        """Every row has the frames of its groups, finite ones, without gradient; no codes give no frames."""
        module = self.build()
        for row, groups in zip(self.generate(module), self.groups, strict=True):
            due = (groups * module.group_frames, BINS)
            self.demand(tuple(row.shape) == due, f"{groups} groups give frames {tuple(row.shape)}, due are {due}.")
            self.demand(bool(torch.isfinite(row).all()), "it generates frames that are not finite.")
            self.demand(not row.requires_grad, "what it generates carries a gradient.")
        empty = module.generate([self.codes(0)], [None])[0]
        self.demand(tuple(empty.shape) == (0, BINS), f"no codes give frames {tuple(empty.shape)}.")

    def test_generates_by_seed(self) -> None:
        """The same seed gives the same frames, whatever was drawn elsewhere meanwhile."""
        module = self.build()
        first = self.generate(module, seed=5)
        torch.rand(3)
        again = self.generate(module, seed=5)
        self.demand(all(map(torch.equal, first, again)), "the same seed gives other frames the second time.")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its rows give alone."""
        module = self.build()
        rows = zip(self.generate(module), self.groups, self.references(module), strict=True)
        for number, (together, groups, reference) in enumerate(rows):
            alone = module.generate([self.codes(groups)], [reference])[0]
            self.agree(together, alone, f"frames of row {number} in a batch against alone")

    def test_voice_matters(self) -> None:
        """Another reference gives other frames."""
        module = self.build()
        first, _, second = self.references(module)
        made = [module.generate([self.codes(4)], [one])[0] for one in (first, second, None)]
        same = torch.equal(made[0], made[1]) or torch.equal(made[0], made[2])
        self.demand(not same, "two references give the same frames.")

    def test_refuses_foreign_codes(self) -> None:
        """Codes out of range, and codes that fill no group, are refused in one sentence."""
        module = self.build()
        whole = self.codes(4)
        wrong = {
            "a code out of range": (whole[0] + 40, whole[1]),
            "half a group": (whole[0][:-1], whole[1]),
            "one codebook of two": whole[:1],
        }
        for what, codes in wrong.items():
            try:
                module.generate([codes], [None])
            except StentorError:
                continue
            self.fail(f"{what} is not refused with a StentorError.")

    def streaming(self) -> Any:
        """An instance that streams; the check is skipped where there is none."""
        self.need("streaming")
        module = self.build()
        if not module.streams:
            self.skip(f"acoustic model '{self.name}' does not stream with this configuration")
        return module

    def test_streaming_equals_offline(self) -> None:
        """Codes piece by piece give what they give whole, whatever the pieces, and hold back no more than `delay`."""
        module = self.streaming()
        codes, reference = self.codes(9), self.references(module)[0]
        whole = module.generate([codes], [reference], seed=3)[0]
        for piece in (1, 2, 9):
            made, state = [], module.initial_state(reference, seed=3)
            for first in range(0, 9, piece):
                part = tuple(row[first * n : (first + piece) * n] for row, n in zip(codes, SPEC.pattern, strict=True))
                frames, state = module.step(part, state)
                made.append(frames)
                due = (min(first + piece, 9) - module.delay) * module.group_frames
                out = sum(map(len, made))
                self.demand(out >= due, f"after {first + piece} groups {out} frames are out; due are {due}.")
            frames, state = module.step(self.codes(0), state, last=True)
            self.agree(torch.cat([*made, frames]), whole, f"frames in pieces of {piece} against offline")

    def test_streams_are_apart(self) -> None:
        """Streams that go on twice from one state give the same both times."""
        module = self.streaming()
        codes = self.codes(8)
        _, state = module.step(codes, module.initial_state(None))
        ended = [module.step(self.codes(2), state, last=True)[0] for _ in range(2)]
        self.demand(torch.equal(*ended), "going on twice from one state gives two results.")
