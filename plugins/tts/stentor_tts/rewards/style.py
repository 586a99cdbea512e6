"""Reward for speaking as fast, as loud and as high as was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from stentor.errors import StentorError
from stentor_tts.corpora.styles_audio import LEVEL
from stentor_tts.levels import GAINS, RATES
from stentor_tts.measures.level import speech_level
from stentor_tts.measures.pitch import pitch, semitones
from stentor_tts.measures.tempo import speaking_rate
from stentor_tts.mel import SAMPLE_RATE
from stentor_tts.metrics.control import level_of
from stentor_tts.rewards.audio import AudioReward, Item, text_of

_RATE_TOLERANCE, _ENERGY_TOLERANCE, _PITCH_TOLERANCE = 0.35, 12.0, 4.0
_SEMITONES = 2.0
_SPEEDS, _GAINS = sorted(RATES.items()), sorted(GAINS.items())


class StyleComplianceReward(AudioReward):
    """The mean over what was asked of how near rate, energy and pitch are to it: 1 on the spot, 0 a tolerance away.

    Reads ``style`` of a prompt, levels from -2 to 2 under ``rate``, ``energy`` and ``pitch``, and for the rate its
    ``reference`` (or ``text``). Level 0 is neutral; the others are those of the corpus `styles`: 0.7, 0.85, 1.2 and
    1.45 times the rate, -12, -6, 6 and 12 dB, and for pitch two semitones a level. Parts are ``rate``, ``energy`` and
    ``pitch``, NaN where they are not asked for or cannot be measured: whispering has no pitch. Tolerances are 35 %
    (logarithm), 12 dB and 4 semitones.

    Args:
        syllables_per_second: neutral rate of the voice.
        level: neutral level of speech (dB of full scale).
        hertz: neutral median pitch of the voice (Hz).
    """

    nature = "verifiable"
    names = ("rate", "energy", "pitch")

    def __init__(self, *, syllables_per_second: float = 5.2, level: float = LEVEL, hertz: float = 190.0) -> None:
        if syllables_per_second <= 0 or hertz <= 0:
            raise StentorError("a neutral rate and pitch are more than 0.", path="reward",
                               value=[syllables_per_second, hertz])  # fmt: skip
        self.syllables_per_second, self.level, self.hertz = syllables_per_second, level, hertz

    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        rows = [self._parts(prompt, wave) for prompt, wave in zip(prompts, waves, strict=True)]
        return [(_mean(parts), *parts) for parts in rows]

    def _parts(self, prompt: Item, wave: Tensor) -> tuple[float, float, float]:
        rate, energy, tone = (level_of(prompt, name) for name in self.names)
        text = text_of(prompt)
        return (
            math.nan if rate is None or not text else self._rate(wave, text, rate),
            math.nan if energy is None else self._energy(wave, energy),
            math.nan if tone is None else self._pitch(wave, tone),
        )

    def _rate(self, wave: Tensor, text: str, level: float) -> float:
        measured = speaking_rate(wave, SAMPLE_RATE, text)
        due = self.syllables_per_second * _between(_SPEEDS, level)
        return _near(math.log(measured / due), _RATE_TOLERANCE) if measured else math.nan

    def _energy(self, wave: Tensor, level: float) -> float:
        due = self.level + _between(_GAINS, level)
        return _near(speech_level(wave, SAMPLE_RATE) - due, _ENERGY_TOLERANCE)

    def _pitch(self, wave: Tensor, level: float) -> float:
        measured = pitch(wave, SAMPLE_RATE).median
        due = self.hertz * 2 ** (_SEMITONES * min(max(level, -2), 2) / 12)
        return _near(semitones(measured, due), _PITCH_TOLERANCE) if math.isfinite(measured) else math.nan


def _near(apart: float, tolerance: float) -> float:
    return max(0.0, 1 - abs(apart) / tolerance)


def _mean(parts: Sequence[float]) -> float:
    known = [part for part in parts if math.isfinite(part)]
    return sum(known) / len(known) if known else math.nan


def _between(steps: Sequence[tuple[int, float]], level: float) -> float:
    """The value of a level, which may lie between two steps; beyond the ends it is that of the end."""
    level = min(max(level, steps[0][0]), steps[-1][0])
    (low, first), (high, second) = next(pair for pair in pairwise(steps) if level <= pair[1][0])
    return first + (second - first) * (level - low) / (high - low)
