"""How training audio is varied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stentor.config import ranges


@dataclass
class AugmentSettings:
    """Variation of training waveforms, drawn anew every time an utterance is read; off by default.

    Attributes:
        speeds: factors one of which is applied to every utterance (pitch changes too), e.g. ``[0.9, 1.0, 1.1]``;
            0.5 to 2.
        noise: share of utterances that noise is added to, 0 to 1.
        noise_folder: folder with recordings of noise; empty means coloured noise made on the spot.
        snr: lowest and highest signal-to-noise ratio (dB).
        codec: share of utterances that go through a simulated codec, 0 to 1.
        codecs: which ones: ``telephone`` is 300 to 3400 Hz and 8-bit mu-law, ``narrow`` is half the band at 8 bits,
            ``coarse`` is 6-bit mu-law at full band.
    """

    speeds: list[float] = field(default_factory=list)
    noise: float = 0.0
    noise_folder: str = ""
    snr: list[float] = field(default_factory=lambda: [5.0, 20.0])
    codec: float = 0.0
    codecs: list[Literal["telephone", "narrow", "coarse"]] = field(
        default_factory=lambda: ["telephone", "narrow", "coarse"]
    )

    def __post_init__(self) -> None:
        speeds = all(0.5 <= speed <= 2.0 for speed in self.speeds)
        snr = len(self.snr) == 2 and self.snr[0] <= self.snr[1]
        ranges.check(
            self,
            {
                "speeds": (speeds, f"numbers between 0.5 and 2, not {self.speeds}"),
                "noise": ranges.share(self.noise),
                "snr": (snr, f"a pair, lowest and highest ratio in dB, not {self.snr}"),
                "codec": ranges.share(self.codec),
                "codecs": (bool(self.codecs or not self.codec), "at least one name, as codec is not 0"),
            },
        )
