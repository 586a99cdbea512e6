"""Whether the output is as fast, loud and high as was asked, in five levels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.interfaces.metric import AudioMetric, Counts, Spoken
from stentor_tts.measures.level import frame_levels, speech_level
from stentor_tts.measures.pitch import pitch
from stentor_tts.measures.ranks import spearman_terms
from stentor_tts.measures.tempo import speaking_rate
from stentor_tts.mel import SAMPLE_RATE


class Control(AudioMetric):
    """Spearman's rank correlation between the level asked for and what was measured, 1 at best.

    The level is a number in the row's field ``style``; rows without it do not count. Where a set says a text several
    times, what is measured counts from the mean of that text, so that long and short words make no difference. The
    interval keeps the ranks and resamples the rows' terms.
    """

    lower_is_better, unit = False, ""
    asked: ClassVar[str]
    measured: ClassVar[str]

    @abstractmethod
    def value(self, wave: Tensor, text: str) -> float:
        """What is measured of a waveform [N] at 16 kHz, on a scale of differences; NaN where it cannot be."""

    def told(self, value: float) -> float:
        """The measure in the unit of its note."""
        return value

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        counts: list[Counts] = [(0.0, 0.0)] * len(rows)
        pairs = [(index, level, self._noted(row)) for index, row in enumerate(rows)
                 if (level := level_of(row.custom, self.asked)) is not None]  # fmt: skip
        known = [pair for pair in pairs if math.isfinite(pair[2])]
        values = without_texts([value for *_, value in known], [rows[index].text for index, *_ in known])
        terms = spearman_terms([level for _, level, _ in known], values)
        for (index, _, _), (product, unit) in zip(known, terms.tolist(), strict=True):
            counts[index] = (product, unit)
        return counts

    def _noted(self, row: Spoken) -> float:
        value = self.value(torch.from_numpy(row.output.read(SAMPLE_RATE)), row.text)
        row.notes[self.measured] = round(self.told(value), 3) if math.isfinite(value) else None
        return value


def without_texts(values: Sequence[float], texts: Sequence[str]) -> list[float]:
    """Values less the mean of their text where it occurs more than once, else less the mean of all."""
    groups: dict[str, list[float]] = {}
    for value, text in zip(values, texts, strict=True):
        groups.setdefault(text, []).append(value)
    mean = sum(values) / len(values) if values else 0.0
    means = {text: sum(group) / len(group) if len(group) > 1 else mean for text, group in groups.items()}
    return [value - means[text] for value, text in zip(values, texts, strict=True)]


def level_of(custom: Mapping[str, Any], name: str) -> float | None:
    """The level, or other number, that a row's field ``style`` has under `name`."""
    style = custom.get("style")
    found = style.get(name) if isinstance(style, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


class RateControl(Control):
    """Spearman's rank correlation between ``style.rate`` and syllables a second; 1 at best."""

    asked, measured = "rate", "syllables_per_second"

    def value(self, wave: Tensor, text: str) -> float:
        rate = speaking_rate(wave, SAMPLE_RATE, text)
        return math.log(rate) if rate else math.nan

    def told(self, value: float) -> float:
        return math.exp(value)


class EnergyControl(Control):
    """Spearman's rank correlation between ``style.energy`` and the level of speech (dB); 1 at best."""

    asked, measured = "energy", "speech_level_db"

    def value(self, wave: Tensor, text: str) -> float:
        return speech_level(wave, SAMPLE_RATE)


class PitchControl(Control):
    """Spearman's rank correlation between ``style.pitch`` and the median fundamental frequency (Hz); 1 at best."""

    asked, measured = "pitch", "median_f0_hz"

    def value(self, wave: Tensor, text: str) -> float:
        return math.log(pitch(wave, SAMPLE_RATE).median)

    def told(self, value: float) -> float:
        return math.exp(value)


class WhisperControl(AudioMetric):
    """Share of rows that are voiced as ``style.whisper`` asks, in per cent.

    Speech counts as whispered where less than a fifth of its audible frames have a pitch.
    """

    lower_is_better = False

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        return [self._one(row) for row in rows]

    def _one(self, row: Spoken) -> Counts:
        style = row.custom.get("style")
        if not isinstance(style, Mapping) or not isinstance(style.get("whisper"), bool):
            return (0.0, 0.0)
        share = voiced_share(torch.from_numpy(row.output.read(SAMPLE_RATE)))
        row.notes["voiced_share"] = round(share, 3)
        return float((share < 0.2) == style["whisper"]), 1.0


def voiced_share(wave: Tensor) -> float:
    """Share of the audible frames (within 30 dB of the loudest) of a waveform at 16 kHz that have a pitch."""
    levels, found = frame_levels(wave, SAMPLE_RATE), pitch(wave, SAMPLE_RATE)
    audible = levels >= levels.max() - 30.0 if len(levels) else levels > 0
    return float((found.voiced & audible).sum() / audible.sum()) if bool(audible.any()) else 0.0
