"""The contract of encoders."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.encoder import EncoderSpec
from stentor.testing.module import ModuleContract, padded, place, valid
from stentor.testing.signals import voiced


class EncoderContract(ModuleContract):
    """Checks for encoders.

    Attributes:
        seconds: lengths of the utterances that it is tried on (s).
    """

    kind = "encoder"
    seconds: ClassVar[tuple[float, ...]] = (0.9013, 0.3127, 0.5501)

    @property
    def spec(self) -> EncoderSpec:
        declared: EncoderSpec = self.component_class.spec(**self.config)
        return declared

    def utterances(self) -> list[Tensor]:
        """Waveforms float [N] of different lengths."""
        rate = self.spec.sample_rate
        return [voiced(int(seconds * rate), rate, 90.0 + 40 * index) for index, seconds in enumerate(self.seconds)]

    def encode(self, encoder: Any, rows: list[Tensor], to: int | None = None) -> list[Tensor]:
        """The valid frames of every row, encoded as one batch padded to `to` samples."""
        device, dtype = place(encoder)
        audio, lengths = padded(rows, to)
        return valid(*encoder(audio.to(device, dtype), lengths.to(device)))

    def run(self, module: Any) -> Tensor:
        return torch.cat(self.encode(module, self.utterances()))

    def test_declared_attributes(self) -> None:
        """An instance has the `dim`, `frame_rate` and `sample_rate` that `spec` declares."""
        encoder, spec = self.build(), self.spec
        for name in ("dim", "frame_rate", "sample_rate"):
            due, shown = getattr(spec, name), getattr(encoder, name, None)
            self.demand(shown == due, f"spec() declares {name} = {due}, the instance has {shown}.")

    def test_declared_width(self) -> None:
        """Frames are as wide as `spec` says, and [B, T, dim]."""
        audio, lengths = padded(self.utterances())
        with torch.no_grad():
            frames, counts = self.build()(audio, lengths)
        self.demand(frames.ndim == 3, f"it gives a tensor of shape {tuple(frames.shape)} where [B, T, dim] is due.")
        self.demand(frames.shape[-1] == self.spec.dim,
                    f"it declares dim = {self.spec.dim} and gives frames of width {frames.shape[-1]}.")  # fmt: skip
        self.demand(counts.dtype == torch.int64, f"its lengths are {counts.dtype}, not int64.")
        self.demand(
            frames.shape[0] == len(lengths) and counts.shape == lengths.shape,
            f"{len(lengths)} utterances give {frames.shape[0]} rows and {tuple(counts.shape)} lengths.",
        )
        self.demand(frames.shape[1] >= int(counts.max()),
                    f"it gives {frames.shape[1]} frames and says that {int(counts.max())} are valid.")  # fmt: skip

    def test_declared_lengths(self) -> None:
        """`frames(samples)` is what `forward` really gives."""
        encoder, rate = self.build(), self.spec.sample_rate
        samples = [int(seconds * rate) + odd for odd, seconds in enumerate((0.1, 0.25, 0.5, 0.8, 1.1))]
        with torch.no_grad():
            _, counts = encoder(*padded([voiced(count, rate) for count in samples]))
        for count, measured in zip(samples, counts.tolist(), strict=True):
            self.demand(encoder.frames(count) == measured,
                        f"frames({count}) declares {encoder.frames(count)}, encoding gives {measured}.")  # fmt: skip

    def test_declared_rate(self) -> None:
        """`spec` declares the frame rate at which frames come (Hz)."""
        encoder, spec = self.build(), self.spec
        measured = (encoder.frames(22 * spec.sample_rate) - encoder.frames(2 * spec.sample_rate)) / 20
        self.demand(abs(measured - spec.frame_rate) <= 0.1,
                    f"it declares {spec.frame_rate:g} frames per second and gives {measured:g}.")  # fmt: skip

    def test_padding_invariance(self) -> None:
        """An utterance's frames do not depend on how far the batch pads it."""
        encoder, rows = self.build(), self.utterances()
        longest = max(map(len, rows))
        with torch.no_grad():
            near = self.encode(encoder, rows)
            far = self.encode(encoder, rows, longest + self.spec.sample_rate)
        for index, (left, right) in enumerate(zip(far, near, strict=True)):
            self.agree(left, right, f"frames of utterance {index} padded by a further second against as it was")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its utterances give alone."""
        encoder, rows = self.build(), self.utterances()
        with torch.no_grad():
            together = self.encode(encoder, rows)
            alone = [self.encode(encoder, [row])[0] for row in rows]
        for index, (left, right) in enumerate(zip(together, alone, strict=True)):
            self.agree(left, right, f"frames of utterance {index} in a batch against alone")

    def test_extreme_audio(self) -> None:
        """One sample and digital silence are encoded like anything else, and stay finite."""
        encoder, rate = self.build(), self.spec.sample_rate
        with torch.no_grad():
            for name, row in (("one sample", torch.zeros(1)), ("silence", torch.zeros(rate // 2))):
                frames = self.encode(encoder, [row])[0]
                self.demand(
                    len(frames) == encoder.frames(len(row)),
                    f"{name} gives {len(frames)} frames, frames({len(row)}) is {encoder.frames(len(row))}.",
                )
                self.demand(bool(torch.isfinite(frames).all()), f"{name} gives NaN or infinite frames.")

    def streaming(self) -> Any:
        """An instance that streams; the check is skipped where there is none."""
        self.need("streaming")
        encoder = self.build()
        if not encoder.streams:
            self.skip(f"encoder '{self.name}' does not stream with this configuration")
        return encoder

    def test_streaming_equals_offline(self) -> None:
        """Chunk by chunk gives what the whole waveform gives, whatever the chunks."""
        encoder, rate = self.streaming(), self.spec.sample_rate
        audio = torch.stack([voiced(rate, rate, 100.0), voiced(rate, rate, 170.0)])
        with torch.no_grad():
            offline, counts = encoder(audio, torch.full((2,), rate))
            for chunk in (1_733, rate // 10, rate):
                streamed = self.stream(encoder, audio, chunk)
                self.agree(streamed, offline[:, : int(counts[0])], f"frames in chunks of {chunk} against offline")

    def test_streams_are_apart(self) -> None:
        """Streams that take turns, or go on twice from one state, do not disturb one another."""
        encoder, rate = self.streaming(), self.spec.sample_rate
        rows, half = [voiced(rate, rate, pitch)[None] for pitch in (100.0, 170.0)], rate // 2
        with torch.no_grad():
            alone = [self.stream(encoder, row, half) for row in rows]
            begun = [encoder.step(row[:, :half], encoder.initial_state(1)) for row in rows]
            for _ in range(2):
                ended = [encoder.step(row[:, half:], state, last=True)[0] for row, (_, state) in
                         zip(rows, begun, strict=True)]  # fmt: skip
                for row, ((first, _), second) in enumerate(zip(begun, ended, strict=True)):
                    self.agree(torch.cat([first, second], 1), alone[row], f"frames of stream {row} beside another")

    def test_declared_delay(self) -> None:
        """`step` holds no more audio back than `delay` says."""
        encoder, spec = self.streaming(), self.spec
        for seconds in (0.5, 1.0, 1.7):
            audio = voiced(int(seconds * spec.sample_rate), spec.sample_rate)[None]
            with torch.no_grad():
                frames, _ = encoder.step(audio, encoder.initial_state(1))
            due = int((seconds - encoder.delay) * spec.frame_rate)
            self.demand(frames.shape[1] >= due, f"of {seconds:g} s it gives {frames.shape[1]} frames; with the "
                        f"declared delay of {encoder.delay:g} s it should give {due}.")  # fmt: skip

    def test_streams_or_says_so(self) -> None:
        """An instance that does not stream says so in one sentence."""
        encoder = self.build()
        if encoder.streams:
            self.skip(f"encoder '{self.name}' streams")
        try:
            encoder.initial_state(1)
        except StentorError:
            return
        self.fail("it does not stream, and `initial_state` is no StentorError.")

    def stream(self, encoder: Any, audio: Tensor, chunk: int) -> Tensor:
        """Frames [B, T, dim] of `audio` given `chunk` samples at a time, the first chunk one sample long."""
        state, frames = encoder.initial_state(len(audio)), []
        edges = [0, 1, *range(chunk, audio.shape[1], chunk), audio.shape[1]]
        for begin, end in itertools.pairwise(edges):
            some, state = encoder.step(audio[:, begin:end], state, last=end == audio.shape[1])
            frames.append(some)
        return torch.cat(frames, dim=1)
