"""What inline tags do to the words inside them, and to those outside."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from stentor.errors import StentorError
from stentor.interfaces.metric import AudioMetric, Counts, Spoken
from stentor_tts.judges import recognisers
from stentor_tts.judges.blocks import Wave
from stentor_tts.measures.level import speech_level
from stentor_tts.measures.tempo import syllables
from stentor_tts.mel import SAMPLE_RATE

UP_OR_DOWN: Mapping[str, tuple[str, int]] = {
    "fast": ("rate", 1),
    "slow": ("rate", -1),
    "loud": ("energy", 1),
    "soft": ("energy", -1),
}
"""Inline tag -> what it changes, and whether upwards or downwards."""
_TAG = re.compile(r"\[(/?)([a-z]+)\]")
_LONGEST = 29.0


@dataclass(frozen=True)
class Said:
    """A word, its tag (empty: none), and where it lies in the output (s)."""

    text: str
    tag: str
    start: float
    end: float


def tagged_words(marked: str) -> list[tuple[str, str]]:
    """Words of a text with inline tags, each with the innermost tag around it: ``turn [slow]left[/slow]``."""
    found: list[tuple[str, str]] = []
    inside: list[str] = []
    place = 0
    for match in _TAG.finditer(marked):
        found += [(word, inside[-1] if inside else "") for word in marked[place : match.start()].split()]
        if match[1]:
            inside = inside[:-1]
        else:
            inside.append(match[2])
        place = match.end()
    return found + [(word, inside[-1] if inside else "") for word in marked[place:].split()]


class SpanMetric(AudioMetric):
    """Base of the measures of inline tags: rows whose field ``marked`` has tags, aligned word by word.

    The words are placed in the output by the cross-attention of recogniser ``whisper``, given the text. The effect of
    tags is half the difference of what is measured between rows whose tag says up and rows whose tag says down: what
    they have in common drops out.
    """

    lower_is_better = False
    changes: ClassVar[str]
    aligner: ClassVar[str] = "whisper"

    def load_pretrained(self) -> dict[str, str]:
        return recognisers.provenance(self.aligner)

    @abstractmethod
    def value(self, words: Sequence[Said], wave: Wave) -> float:
        """What is measured of some words of a waveform float32 [N] at 16 kHz; NaN where it cannot be."""

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        counts: list[Counts] = [(0.0, 0.0)] * len(rows)
        found = {index: pair for index, row in enumerate(rows) if (pair := self._pair(row))}
        signs = {index: pair[0] for index, pair in found.items()}
        numbers = [sum(sign == side for sign in signs.values()) for side in (-1, 1)]
        if not all(numbers):
            return counts
        means = np.mean([pair[1:] for pair in found.values()], axis=0)
        weights = [sign * len(found) / (2 * numbers[sign > 0]) for sign in signs.values()]
        effects = (np.array([pair[1:] for pair in found.values()]) - means) * np.array(weights)[:, None]
        for index, terms in zip(found, self.terms(effects), strict=True):
            counts[index] = terms
        return counts

    def terms(self, effects: np.ndarray) -> list[Counts]:
        """What each row adds, of the shares of the effect inside and outside [rows, 2]."""
        return [(float(inner), 1.0) for inner in effects[:, 0]]

    def _pair(self, row: Spoken) -> tuple[int, float, float] | None:
        """Direction, and what is measured inside and outside the tags of a row; None where it has no such tag."""
        signs = {UP_OR_DOWN[tag][1] for _, tag in tagged_words(str(row.custom.get("marked", "")))
                 if UP_OR_DOWN.get(tag, ("", 0))[0] == self.changes}  # fmt: skip
        if len(signs) != 1 or row.seconds > _LONGEST:
            return None
        wave = row.output.read(SAMPLE_RATE)
        words = self._placed(row, wave)
        inner = [word for word in words if UP_OR_DOWN.get(word.tag, ("", 0))[0] == self.changes]
        values = [self.value(some, wave) for some in (inner, [word for word in words if word not in inner])]
        if not all(map(math.isfinite, values)):
            return None
        row.notes.setdefault("spans", {})[self.changes] = [round(value, 4) for value in values]
        return signs.pop(), values[0], values[1]

    def _placed(self, row: Spoken, wave: Wave) -> list[Said]:
        """The words of a row with their times; they are kept in its notes."""
        tagged = tagged_words(str(row.custom["marked"]))
        if "words" not in row.notes:
            row.notes["words"] = _aligned(self.aligner, wave, " ".join(word for word, _ in tagged))
        times = row.notes["words"]
        if len(times) != len(tagged):
            return []
        return [Said(text, tag, start, end) for (text, tag), (_, start, end) in zip(tagged, times, strict=True)]


def _aligned(name: str, wave: Wave, text: str) -> list[list[Any]]:
    """(word, start, end) of a text in a waveform, by a recogniser that can align."""
    aligner = recognisers.judge(name)
    if not hasattr(aligner, "align"):
        raise StentorError(f"recogniser '{name}' cannot place the words of a text.", path="metric")
    (lines,) = aligner.align([wave], [[text]])
    return [[word.text.strip(), round(word.start, 3), round(word.end, 3)] for line in lines for word in line]


def _rate(words: Sequence[Said], wave: Wave) -> float:
    seconds = sum(word.end - word.start for word in words)
    return math.log(syllables(" ".join(word.text for word in words)) / seconds) if seconds > 0 else math.nan


def _level(words: Sequence[Said], wave: Wave) -> float:
    places = [slice(round(word.start * SAMPLE_RATE), round(word.end * SAMPLE_RATE)) for word in words]
    samples = np.concatenate([wave[place] for place in places]) if places else wave[:0]
    return speech_level(torch.from_numpy(samples), SAMPLE_RATE) if len(samples) else math.nan


class RateSpan(SpanMetric):
    """What inline ``fast`` and ``slow`` do to the rate of the words inside them, in per cent.

    Half the difference between the two in the natural logarithm of syllables a second.
    """

    changes = "rate"

    def value(self, words: Sequence[Said], wave: Wave) -> float:
        return _rate(words, wave)


class EnergySpan(SpanMetric):
    """What inline ``loud`` and ``soft`` do to the level of the words inside: half the difference of the two (dB)."""

    changes, unit = "energy", "dB"

    def value(self, words: Sequence[Said], wave: Wave) -> float:
        return _level(words, wave)


class RateLeak(RateSpan):
    """Size of the effect of inline ``fast`` and ``slow`` outside them over that inside, in per cent.

    At most 50 where the effect inside is at least twice that outside; none where tags do the opposite of what they say.
    """

    lower_is_better = True

    def terms(self, effects: np.ndarray) -> list[Counts]:
        return _leaks(effects)


class EnergyLeak(EnergySpan):
    """Size of the effect of inline ``loud`` and ``soft`` outside them over that inside, in per cent.

    At most 50 where the effect inside is at least twice that outside; none where tags do the opposite of what they say.
    """

    lower_is_better, unit = True, "%"

    def terms(self, effects: np.ndarray) -> list[Counts]:
        return _leaks(effects)


def _leaks(effects: np.ndarray) -> list[Counts]:
    """Outside over inside, whichever way the former goes; the interval may reach below 0."""
    inside, outside = effects.sum(0)
    if inside <= 0:
        return [(0.0, 0.0)] * len(effects)
    side = math.copysign(1.0, outside)
    return [(side * float(outer), float(inner)) for inner, outer in effects]
