"""The contract of vocoders."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.testing.module import ModuleContract, padded, place
from stentor.testing.signals import voiced
from stentor_tts.mel import BINS, HOP, LOWEST, SAMPLE_RATE, log_mel


class VocoderContract(ModuleContract):
    """Checks for vocoders: lengths, ranges, batches, streams, what training gets.

    Attributes:
        counts: frames of the utterances that it is tried on.
    """

    kind = "vocoder"
    counts: ClassVar[tuple[int, ...]] = (67, 23, 40)

    def spectrograms(self) -> list[Tensor]:
        """Log-mel frames float [T, BINS] of buzzing sounds of several pitches."""
        sounds = [voiced(count * HOP, SAMPLE_RATE, 90.0 + 50 * row) for row, count in enumerate(self.counts)]
        return [log_mel(sound) for sound in sounds]

    def speak(self, vocoder: Any, rows: list[Tensor], to: int | None = None) -> list[Tensor]:
        """The samples of every row, made in one batch padded to `to` frames."""
        device, dtype = place(vocoder)
        frames, lengths = padded(rows, to)
        made = vocoder(frames.to(device, dtype), lengths.to(device))
        due = (len(rows), frames.shape[1] * HOP)
        self.demand(tuple(made.shape) == due, f"frames {tuple(frames.shape)} give {tuple(made.shape)}, not {due}.")
        return [row[: count * HOP] for row, count in zip(made, lengths.tolist(), strict=True)]

    def run(self, module: Any) -> Tensor:
        device, dtype = place(module)
        if module.training or not torch.is_grad_enabled():
            return torch.cat(self.speak(module, self.spectrograms()))
        frames = self.spectrograms()[1][None].to(device, dtype)
        sound = voiced(frames.shape[1] * HOP, SAMPLE_RATE)[None].to(device, dtype)
        made, cost, _ = module.learn(frames, sound)
        return torch.cat([made.flatten(), cost.reshape(1)])

    @torch.no_grad()
    def test_samples(self) -> None:
        """Every frame gives a hop of samples in [-1, 1]: sound, silence, a single frame, what is far too loud."""
        vocoder, quiet = self.build(), torch.full((20, BINS), LOWEST)
        rows = {"sound": self.spectrograms()[0], "silence": quiet, "one frame": quiet[:1], "a din": quiet + 20}
        for name, row in rows.items():
            (made,) = self.speak(vocoder, [row])
            fine = bool(torch.isfinite(made).all()) and float(made.abs().max()) <= 1
            self.demand(fine, f"{name} gives samples up to {float(made.abs().max()):.3g}.")

    @torch.no_grad()
    def test_padding_invariance(self) -> None:
        """A row's samples do not depend on how far the batch pads it."""
        vocoder, rows = self.build(), self.spectrograms()
        pairs = zip(self.speak(vocoder, rows, 100), self.speak(vocoder, rows), strict=True)
        for index, (far, near) in enumerate(pairs):
            self.agree(far, near, f"samples of row {index} padded further against as it was")

    @torch.no_grad()
    def test_batch_equals_single(self) -> None:
        """A batch gives what its rows give alone."""
        vocoder, rows = self.build(), self.spectrograms()
        for index, together in enumerate(self.speak(vocoder, rows)):
            self.agree(
                together, self.speak(vocoder, [rows[index]])[0], f"samples of row {index} in a batch against alone"
            )

    @torch.no_grad()
    def test_streaming_equals_whole(self) -> None:
        """Block by block gives what the whole gives, whatever the blocks."""
        self.need("streaming")
        vocoder, row = self.build(), self.spectrograms()[0]
        (whole,) = self.speak(vocoder, [row])
        for block in (1, 5, 12, len(row)):
            self.agree(self.stream(vocoder, row, block), whole, f"blocks of {block} frames against the whole")

    @torch.no_grad()
    def test_streams_are_apart(self) -> None:
        """Streams that take turns, or go on twice from one state, do not disturb one another."""
        self.need("streaming")
        vocoder, rows = self.build(), self.spectrograms()[:2]
        begun = [vocoder.step(row[None, :12], vocoder.initial_state(1)) for row in rows]
        for _ in range(2):
            for index, (row, (first, state)) in enumerate(zip(rows, begun, strict=True)):
                joined = torch.cat([first, vocoder.step(row[None, 12:], state, last=True)[0]], 1)[0]
                self.agree(joined, self.speak(vocoder, [row])[0], f"stream {index} beside another against alone")

    def test_streams_or_says_so(self) -> None:
        """A vocoder that does not claim to stream says so in one sentence."""
        vocoder = self.build()
        if "streaming" in vocoder.capabilities:
            self.skip(f"vocoder '{self.name}' streams")
        try:
            vocoder.initial_state(1)
        except StentorError:
            return
        self.fail("it does not stream, and `initial_state` is no StentorError.")

    def test_moves_dtype(self) -> None:
        """In float64 it computes in float64, and the same thing."""
        if not [*self.build().parameters(), *self.build().buffers()]:
            self.skip("it holds no tensors: its type is that of the frames")
        super().test_moves_dtype()

    def test_learns_waveforms(self) -> None:
        """For training it gives whole waveforms and a finite loss of its own."""
        vocoder, frames = self.build(), self.spectrograms()[1][None]
        sound = voiced(frames.shape[1] * HOP, SAMPLE_RATE)[None]
        made, cost, parts = vocoder.learn(frames, sound)
        self.demand(made.shape == sound.shape, f"for {tuple(sound.shape)} samples it gives {tuple(made.shape)}.")
        self.demand(cost.ndim == 0 and bool(torch.isfinite(cost)), f"its own loss is {cost}.")
        self.demand(all(isinstance(value, float) for value in parts.values()), f"its parts are {parts}, not floats.")

    def stream(self, vocoder: Any, row: Tensor, block: int) -> Tensor:
        """Samples [N] of one row given `block` frames at a time."""
        state, found = vocoder.initial_state(1), []
        for begin, end in itertools.pairwise([*range(0, len(row), block), len(row)]):
            some, state = vocoder.step(row[None, begin:end], state, last=end == len(row))
            found.append(some[0])
        return torch.cat(found)
