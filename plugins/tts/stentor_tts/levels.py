"""The five levels of rate, energy and pitch in numbers, and what the inline tags ask of them."""

from __future__ import annotations

from collections.abc import Mapping

LEVELS = (-2, -1, 0, 1, 2)
"""Of every scale; 0 is the voice's own."""
RATES: Mapping[int, float] = {-2: 0.7, -1: 0.85, 0: 1.0, 1: 1.2, 2: 1.45}
"""Level -> times as fast."""
GAINS: Mapping[int, float] = {-2: -12.0, -1: -6.0, 0: 0.0, 1: 6.0, 2: 12.0}
"""Level of energy -> louder by (dB)."""
PITCHES: Mapping[int, float] = {-2: -4.0, -1: -2.0, 0: 0.0, 1: 2.0, 2: 4.0}
"""Level -> higher by (semitones)."""
TAGS: Mapping[str, tuple[str, int]] = {
    "fast": ("rate", 2),
    "slow": ("rate", -2),
    "loud": ("energy", 2),
    "soft": ("energy", -2),
    "high": ("pitch", 2),
    "low": ("pitch", -2),
}
"""Inline tag -> the scale that it changes, and the level of the words inside it."""
