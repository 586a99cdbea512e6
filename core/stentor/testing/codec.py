"""The contract of codecs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.testing.module import ModuleContract, padded, place, valid
from stentor.testing.signals import voiced


class CodecContract(ModuleContract):
    """Checks for codecs. Codes have to be equal one by one; waveforms within `tolerance`.

    Attributes:
        seconds: lengths of the utterances that it is tried on (s).
    """

    kind = "codec"
    seconds: ClassVar[tuple[float, ...]] = (1.1013, 0.3127, 0.7501)

    @property
    def spec(self) -> CodecSpec:
        declared: CodecSpec = self.component_class.spec(**self.config)
        return declared

    def utterances(self) -> list[Tensor]:
        """Waveforms float [N] of different lengths."""
        rate = self.spec.sample_rate
        return [voiced(int(seconds * rate), rate, 90.0 + 40 * index) for index, seconds in enumerate(self.seconds)]

    @torch.no_grad()
    def encode(self, codec: Any, rows: list[Tensor], to: int | None = None) -> list[Codes]:
        """Codes of every row, encoded as one batch padded to `to` samples."""
        device, dtype = place(codec)
        audio, lengths = padded(rows, to)
        found: list[Codes] = codec.encode(audio.to(device, dtype), lengths.to(device))
        return found

    @torch.no_grad()
    def decode(self, codec: Any, rows: Sequence[Codes]) -> list[Tensor]:
        """The valid samples of every row."""
        return valid(*codec.decode(rows))

    def run(self, module: Any) -> Tensor:
        rows = self.encode(module, self.utterances())
        flat = torch.cat([book.to(torch.float32) for row in rows for book in row])
        return torch.cat([flat, *self.decode(module, rows)]) if "decode" in module.capabilities else flat

    def same(self, measured: Codes, expected: Codes, what: str) -> None:
        """Demand equal codes; `what` completes the sentence."""
        for book, left, right in zip(self.spec.codebooks, measured, expected, strict=True):
            shapes = f"{tuple(left.shape)} against {tuple(right.shape)}"
            self.demand(left.shape == right.shape, f"{what}: shapes of '{book.name}' are {shapes}.")
            off = int((left != right).sum())
            self.demand(not off, f"{what}: {off} of {len(left)} codes of '{book.name}' differ.")

    def test_declared_spec(self) -> None:
        """Names, sizes, rates and pattern of `spec` agree with one another and with the instance."""
        spec, codec = self.spec, self.build()
        names = [book.name for book in spec.codebooks]
        self.demand(len(set(names)) == len(names) > 0, f"its codebooks are called {names}.")
        small = [book.name for book in spec.codebooks if book.size < 2]
        self.demand(not small, f"codebooks {small} have fewer than two codes.")
        fine = len(spec.pattern) == len(names) and min(spec.pattern) > 0
        self.demand(fine, f"its pattern is {spec.pattern} for {len(names)} codebooks.")
        for book, count in zip(spec.codebooks, spec.pattern, strict=True):
            due = count * spec.sample_rate / spec.group_samples
            close = abs(book.rate - due) < 0.01 * due
            self.demand(close, f"'{book.name}' declares {book.rate:g} Hz; {count} codes in a group are {due:g} Hz.")
        shown = getattr(codec, "declared", None)
        self.demand(shown == spec, f"an instance declares {shown}, spec() {spec}.")

    def test_whole_groups(self) -> None:
        """An utterance gives ``samples // group_samples`` groups, each with the pattern's number of int64 codes."""
        codec, spec = self.build(), self.spec
        samples = [spec.group_samples * groups + odd for groups, odd in ((0, 1), (1, 0), (3, 1), (4, -1), (7, 0))]
        rows = self.encode(codec, [voiced(count, spec.sample_rate) for count in samples])
        for count, row in zip(samples, rows, strict=True):
            due = [count // spec.group_samples * each for each in spec.pattern]
            given = [tuple(book.shape) for book in row]
            self.demand(given == [(each,) for each in due], f"{count} samples give codes {given}; due are {due}.")
            kinds = {str(book.dtype) for book in row}
            self.demand(kinds == {"torch.int64"}, f"its codes are {', '.join(sorted(kinds))}, not int64.")

    def test_codes_in_range(self) -> None:
        """Codes are 0 to size - 1, for sound, loud noise and silence alike."""
        codec, spec = self.build(), self.spec
        noise = torch.rand(spec.sample_rate, generator=torch.Generator().manual_seed(0)) * 2 - 1
        for row in self.encode(codec, [*self.utterances(), noise, torch.zeros(spec.sample_rate)]):
            for book, codes in zip(spec.codebooks, row, strict=True):
                bad = codes[(codes < 0) | (codes >= book.size)]
                self.demand(not len(bad), f"'{book.name}' with {book.size} codes gives {bad[:1].tolist()}.")

    def test_padding_invariance(self) -> None:
        """An utterance's codes do not depend on how far the batch pads it."""
        codec, rows = self.build(), self.utterances()
        near = self.encode(codec, rows)
        far = self.encode(codec, rows, max(map(len, rows)) + self.spec.sample_rate)
        for index, (left, right) in enumerate(zip(far, near, strict=True)):
            self.same(left, right, f"utterance {index} padded by a further second against as it was")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its utterances give alone."""
        codec, rows = self.build(), self.utterances()
        for index, together in enumerate(self.encode(codec, rows)):
            self.same(together, self.encode(codec, [rows[index]])[0], f"utterance {index} in a batch against alone")

    def streaming(self) -> Any:
        """An instance that streams; the check is skipped where there is none."""
        self.need("streaming")
        codec = self.build()
        if not codec.streams:
            self.skip(f"codec '{self.name}' does not stream with this configuration")
        return codec

    def blocks(self) -> tuple[int, ...]:
        """Sizes of the blocks that streams come in (samples): odd, a group, and all at once."""
        return 1_733, self.spec.group_samples, 2 * self.spec.sample_rate

    @torch.no_grad()
    def stream(self, codec: Any, audio: Tensor, block: int) -> list[Codes]:
        """Codes of waveforms [B, N] given `block` samples at a time, the first block one sample long."""
        device, dtype = place(codec)
        state, found = codec.initial_state(len(audio)), []
        for begin, end in itertools.pairwise([0, 1, *range(block, audio.shape[1], block), audio.shape[1]]):
            some, state = codec.step(audio[:, begin:end].to(device, dtype), state, last=end == audio.shape[1])
            found.append(some)
        return [tuple(torch.cat(books) for books in zip(*row, strict=True)) for row in zip(*found, strict=True)]

    def streams_of_sound(self) -> Tensor:
        """Two waveforms float [2, N] of a second and a bit, not whole groups."""
        rate = self.spec.sample_rate
        return torch.stack([voiced(int(1.217 * rate), rate, pitch) for pitch in (100.0, 170.0)])

    def test_streaming_equals_whole(self) -> None:
        """Block by block gives what the whole waveform gives, whatever the blocks."""
        codec, audio = self.streaming(), self.streams_of_sound()
        whole = self.encode(codec, list(audio))
        for block in self.blocks():
            for left, right in zip(self.stream(codec, audio, block), whole, strict=True):
                self.same(left, right, f"blocks of {block} samples against the whole")

    def test_streams_are_apart(self) -> None:
        """Streams that take turns, or go on twice from one state, do not disturb one another."""
        codec, audio = self.streaming(), self.streams_of_sound()
        half = audio.shape[1] // 2
        alone = self.encode(codec, list(audio))
        with torch.no_grad():
            begun = [codec.step(row[None, :half], codec.initial_state(1)) for row in audio]
            for _ in range(2):
                for index, (((first,), state), row) in enumerate(zip(begun, audio, strict=True)):
                    (rest,), _ = codec.step(row[None, half:], state, last=True)
                    joined = tuple(torch.cat(books) for books in zip(first, rest, strict=True))
                    self.same(joined, alone[index], f"stream {index} beside another against alone")

    def test_declared_delay(self) -> None:
        """`step` holds no more audio back than `delay` says."""
        codec, spec = self.streaming(), self.spec
        for seconds in (0.5, 1.0, 1.7):
            audio = voiced(int(seconds * spec.sample_rate), spec.sample_rate)[None]
            with torch.no_grad():
                ((first, *_),), _ = codec.step(audio, codec.initial_state(1))
            due = max(0, int((seconds - codec.delay) * spec.sample_rate) // spec.group_samples) * spec.pattern[0]
            self.demand(len(first) >= due, f"of {seconds:g} s it gives {len(first)} codes of the first codebook; with "
                        f"the declared delay of {codec.delay:g} s it should give {due}.")  # fmt: skip

    def test_streams_or_says_so(self) -> None:
        """An instance that does not stream says so in one sentence."""
        codec = self.build()
        if codec.streams:
            self.skip(f"codec '{self.name}' streams")
        self.refused(lambda: codec.initial_state(1), "does not stream, and `initial_state`")

    def test_decoded_lengths(self) -> None:
        """Every row gives its groups times `group_samples` finite samples; no codes give none."""
        self.need("decode")
        codec, spec = self.build(), self.spec
        rows = [*self.encode(codec, self.utterances()), self.encode(codec, [torch.zeros(1)])[0]]
        for row, waveform in zip(rows, self.decode(codec, rows), strict=True):
            due = len(row[0]) // spec.pattern[0] * spec.group_samples
            self.demand(len(waveform) == due, f"{len(row[0])} codes give {len(waveform)} samples; due are {due}.")
            self.demand(bool(torch.isfinite(waveform).all()), "decoding gives NaN or infinite samples.")

    def test_decoded_batch_equals_single(self) -> None:
        """A batch of codes gives the waveforms that they give alone."""
        self.need("decode")
        codec = self.build()
        rows = self.encode(codec, self.utterances())
        for index, together in enumerate(self.decode(codec, rows)):
            self.agree(together, self.decode(codec, [rows[index]])[0], f"waveform {index} in a batch against alone")

    def test_decoding_in_steps_equals_whole(self) -> None:
        """Groups decoded as they come give the whole waveform, whatever the steps."""
        self.need("decode")
        codec, spec = self.streaming(), self.spec
        (row,) = self.encode(codec, [self.streams_of_sound()[0]])
        whole, groups = self.decode(codec, [row])[0], len(row[0]) // spec.pattern[0]
        for step in (1, 3, groups):
            state, found = codec.initial_decode_state(1), []
            for begin in range(0, groups, step):
                end = min(groups, begin + step)
                some = tuple(book[begin * n : end * n] for book, n in zip(row, spec.pattern, strict=True))
                with torch.no_grad():
                    samples, state = codec.decode_step([some], state, last=end == groups)
                found.append(samples[0])
            self.agree(torch.cat(found), whole, f"{step} groups at a time against the whole")

    def test_decodes_or_says_so(self) -> None:
        """A codec that does not claim to decode says so in one sentence."""
        codec = self.build()
        if "decode" in codec.capabilities:
            self.skip(f"codec '{self.name}' decodes")
        rows = self.encode(codec, self.utterances())
        self.refused(lambda: codec.decode(rows), "does not claim 'decode', and `decode`")

    def refused(self, action: Callable[[], Any], what: str) -> None:
        """Demand a `StentorError` of `action`; `what` completes the sentence."""
        try:
            action()
        except StentorError:
            return
        self.fail(f"it {what} is no StentorError.")

    def test_moves_dtype(self) -> None:
        """With weights in float64 codes stay what they were, save where two are all but equally near."""
        single, double = self.build(), self.build().to(torch.float64)
        pairs = zip(self.encode(single, self.utterances()), self.encode(double, self.utterances()), strict=True)
        alike = torch.cat([(a == b).float() for left, right in pairs for a, b in zip(left, right, strict=True)])
        self.demand(
            float(alike.mean()) >= 0.95, f"in float64 only {float(alike.mean()):.0%} of the codes are the same."
        )

    def test_gradient_reaches_parameters(self) -> None:
        """Nothing to check: codes have no gradient."""
        self.skip("codes have no gradient")
