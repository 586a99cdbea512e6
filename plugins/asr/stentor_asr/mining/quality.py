"""The garbage guard: measures of a waveform that tell what nobody could transcribe."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_FRAME, _HOP = 0.032, 0.010  # s
_PITCH = (70.0, 400.0)  # Hz
_BAND = (80.0, 1000.0)  # Hz, where voices carry their periods and white noise has little power
_FLOOR = 1e-10


@dataclass(frozen=True)
class Quality:
    """Measures of one clip.

    Attributes:
        level: power of its loudest stretches: 95th percentile over frames (dB of full scale).
        clipped: share of the samples at the largest magnitude of the clip, within 1 %.
        range: how far the loudest frames stand above the quietest: 95th less 10th percentile of the frames' power (dB).
            What is as loud all the time has no speech in it, or none that stands out of the noise.
        periodicity: how well one period explains the louder half of the frames, between 80 and 1000 Hz: median of the
            largest normalised autocorrelation at periods of 70 to 400 Hz, 0 to 1. A crowd has no one period.
    """

    level: float
    clipped: float
    range: float
    periodicity: float

    def as_dict(self) -> dict[str, float]:
        """Rounded, for manifests."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Guard:
    """What counts as garbage; limits chosen on made garbage that no pool of ours holds.

    Attributes:
        quiet: clips whose `Quality.level` is below are silence (dB of full scale).
        clipped: clips with a larger share of samples at full scale are clipped.
        flat: clips whose `Quality.range` is below have no speech above the noise (dB).
        crowded: clips whose `Quality.periodicity` is below are babble, if they are `dense` too.
        dense: clips whose `Quality.range` is below have none of the pauses of a single speaker (dB).
    """

    quiet: float = -48.0
    clipped: float = 0.05
    flat: float = 4.5
    crowded: float = 0.77
    dense: float = 12.0

    def flags(self, found: Quality) -> list[str]:
        """Why the clip cannot be transcribed; none when it can."""
        if found.level < self.quiet:
            return ["silence"]
        wrong = {
            "clipping": found.clipped > self.clipped,
            "low SNR": found.range < self.flat,
            "babble": found.periodicity < self.crowded and found.range < self.dense,
        }
        return [name for name, true in wrong.items() if true]


def measure(samples: Samples, rate: int) -> Quality:
    """Measure a waveform float32 [N] in [-1, 1] at `rate` Hz, in a few milliseconds for a few seconds."""
    size, hop = round(_FRAME * rate), round(_HOP * rate)
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    magnitude = np.abs(samples)
    power = _windows(samples, size, hop)
    levels = 10 * np.log10((power.astype(np.float64) ** 2).mean(1) + _FLOOR)
    low, high = np.quantile(levels, [0.10, 0.95])
    clipped = float((magnitude > 0.99 * magnitude.max()).mean()) if magnitude.max() > 0 else 0.0
    return Quality(float(high), clipped, float(high - low), _periodicity(samples, rate, levels))


def _windows(samples: Samples, size: int, hop: int) -> NDArray[np.float32]:
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]


def _periodicity(samples: Samples, rate: int, levels: NDArray[np.float64]) -> float:
    """Median over the louder half of the frames of the largest normalised autocorrelation."""
    size, hop = round(_FRAME * rate), round(_HOP * rate)
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequencies < _BAND[0]) | (frequencies > _BAND[1])] = 0
    frames = _windows(np.fft.irfft(spectrum, len(samples)).astype(np.float32), size, hop)
    loud = frames[levels >= np.median(levels)].astype(np.float64)
    power = np.abs(np.fft.rfft(loud, 2 * size)) ** 2
    correlation = np.fft.irfft(power)[:, :size]
    energy = np.cumsum(loud**2, 1)
    lags = np.arange(round(rate / _PITCH[1]), min(round(rate / _PITCH[0]), size - 1))
    both = energy[:, size - lags - 1] * (energy[:, -1:] - energy[:, lags - 1])
    best = (correlation[:, lags] / np.sqrt(np.maximum(both, _FLOOR**2))).max(1)
    return float(np.clip(np.median(best), 0.0, 1.0))
