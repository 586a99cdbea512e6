"""The contract of voice activity detectors."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from stentor.errors import StentorError
from stentor.interfaces.vad import Waves
from stentor.testing.contract import ComponentContract
from stentor.testing.signals import voiced


class VadContract(ComponentContract):
    """Checks for voice activity detectors; skipped where the weights that one reads are not installed.

    Attributes:
        seconds: lengths of the recordings that it is tried on (s).
    """

    kind = "vad"
    seconds: ClassVar[tuple[float, ...]] = (1.317, 0.45, 2.2)
    tolerance: ClassVar[float] = 1e-5

    def build(self, **changes: Any) -> Any:
        built = super().build(**changes)
        try:
            built.load_pretrained()
        except StentorError as error:
            if "not installed" not in str(error):
                raise
            self.skip(str(error))
        return built

    def probe(self, component: Any) -> Any:
        return [row.tolist() for row in self.offline(component, self.recordings(component))]

    def recordings(self, vad: Any) -> list[Waves]:
        """Waveforms float32 [N], each a sound between two stretches of faint noise."""
        rows = []
        for index, seconds in enumerate(self.seconds):
            samples = round(seconds * vad.sample_rate)
            row = voiced(samples, vad.sample_rate, 100.0 + 40 * index).numpy().astype(np.float32)
            row[: samples // 4] *= 0.01
            row[3 * samples // 4 :] *= 0.01
            rows.append(row)
        return rows

    def offline(self, vad: Any, rows: list[Waves], to: int = 0) -> list[Waves]:
        """Probabilities of rows judged as one batch, padded with noise to `to` samples at least."""
        audio = np.random.default_rng(0).normal(0, 0.1, (len(rows), max(to, *map(len, rows)))).astype(np.float32)
        for line, row in zip(audio, rows, strict=True):
            line[: len(row)] = row
        found: list[Waves] = vad.probabilities(audio, np.array([len(row) for row in rows]))
        return found

    def stream(self, vad: Any, row: Waves, block: int) -> Waves:
        """Probabilities of a row given `block` samples at a time."""
        state, found = vad.initial_state(1), []
        for begin, end in pairwise([*range(0, len(row), block), len(row)]):
            some, state = vad.step(row[None, begin:end], state)
            found.append(some[0])
        return np.concatenate(found)

    def same(self, measured: Waves, expected: Waves, what: str) -> None:
        """Demand equal lengths and probabilities within `tolerance`; `what` completes the sentence."""
        self.demand(measured.shape == expected.shape, f"{what}: {measured.shape} against {expected.shape}.")
        off = float(np.abs(measured - expected).max(initial=0.0))
        self.demand(off <= self.tolerance, f"{what}: they differ by up to {off:.3g}.")

    def test_declared(self) -> None:
        """It names its sample rate (Hz), and frames of a whole number of samples of at most 0.2 s."""
        vad = self.build()
        self.demand(isinstance(vad.sample_rate, int) and vad.sample_rate > 0, f"sample rate {vad.sample_rate!r}.")
        self.demand(0 < vad.frame_seconds <= 0.2, f"frames of {vad.frame_seconds!r} s.")
        exact = vad.frame_seconds * vad.sample_rate
        self.demand(abs(exact - vad.frame_samples) < 1e-6, f"a frame has {exact:g} samples.")

    def test_probabilities(self) -> None:
        """As many float32 numbers in [0, 1] as `frames` says."""
        vad = self.build()
        rows = self.recordings(vad)
        for row, found in zip(rows, self.offline(vad, rows), strict=True):
            due = vad.frames(len(row))
            self.demand(found.shape == (due,) and found.dtype == np.float32,
                        f"{len(row)} samples give {found.dtype} {found.shape}, not float32 ({due},).")  # fmt: skip
            inside = bool(((found >= 0) & (found <= 1)).all())
            self.demand(inside, f"probabilities lie between {found.min(initial=0):g} and {found.max(initial=0):g}.")

    def test_streaming_equals_offline(self) -> None:
        """Block by block gives what the whole gives, whatever the blocks."""
        vad = self.build()
        row = self.recordings(vad)[0]
        whole = self.offline(vad, [row])[0]
        for block in (1, vad.frame_samples, 1_733, len(row)):
            part = row if block > 1 else row[: 3 * vad.frame_samples]
            due = whole[: vad.frames(len(part))]
            self.same(self.stream(vad, part, block), due, f"blocks of {block} samples against the whole")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its rows give alone, however far it is padded and with what."""
        vad = self.build()
        rows = self.recordings(vad)
        together = self.offline(vad, rows, 3 * vad.sample_rate)
        for index, row in enumerate(rows):
            self.same(together[index], self.offline(vad, [row])[0], f"row {index} in a batch against alone")

    def test_streams_are_apart(self) -> None:
        """Streams that take turns do not disturb one another: all memory is in the state."""
        vad = self.build()
        rows = [row[: 10 * vad.frame_samples] for row in self.recordings(vad)]
        alone = self.offline(vad, rows)
        states, found = [vad.initial_state(1) for _ in rows], [list[Waves]() for _ in rows]
        for at in range(0, len(rows[0]), vad.frame_samples):
            for index, row in enumerate(rows):
                some, states[index] = vad.step(row[None, at : at + vad.frame_samples], states[index])
                found[index].append(some[0])
        for index, parts in enumerate(found):
            self.same(np.concatenate(parts), alone[index], f"stream {index} beside others against alone")

    def test_silence(self) -> None:
        """Digital silence is not speech."""
        vad = self.build()
        found = self.offline(vad, [np.zeros(2 * vad.sample_rate, np.float32)])[0]
        loudest = float(found[len(found) // 2 :].max())
        self.demand(loudest < 0.5, f"digital silence is speech with probability {loudest:.2f}.")

    def test_a_single_sample(self) -> None:
        """One sample gives no frame, and is no error."""
        found = self.offline(self.build(), [np.full(1, 0.1, np.float32)])[0]
        self.demand(len(found) == 0, f"one sample gives {len(found)} frames.")
