"""Styles and tags, which have five levels, as manners, which have numbers; and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stentor_tts.inventory import LEVELS, Inventory, Style, style_of
from stentor_tts.text.script import PLAIN, Manner

RATES = {-2: 0.7, -1: 0.85, 0: 1.0, 1: 1.2, 2: 1.45}
"""Times as fast."""
GAINS = {-2: -12.0, -1: -6.0, 0: 0.0, 1: 6.0, 2: 12.0}
"""Louder by (dB)."""
PITCHES = {-2: -4.0, -1: -2.0, 0: 0.0, 1: 2.0, 2: 4.0}
"""Higher by (semitones)."""
_TAGS = {
    "fast": Manner(rate=RATES[2]),
    "slow": Manner(rate=RATES[-2]),
    "loud": Manner(volume=GAINS[2]),
    "soft": Manner(volume=GAINS[-2]),
    "high": Manner(pitch=PITCHES[2]),
    "low": Manner(pitch=PITCHES[-2]),
}


def manner(told: str | Mapping[str, Any] | Style | None, inventory: Inventory) -> Manner:
    """The manner of a style, as people write it or as manifests hold it; nothing: the voice's own.

    Raises:
        StentorError: for what the inventory does not have.
    """
    style = told if isinstance(told, Style) else style_of(told, inventory)
    levels = dict(style.levels)
    traits = tuple(name for name in style.controls() if name.startswith(("voice:", "style:", "emotion:")))
    return Manner(RATES[levels.get("rate", 0)], PITCHES[levels.get("pitch", 0)], GAINS[levels.get("energy", 0)], traits)


def of_tag(tag: str) -> Manner:
    """The manner of what stands in ``[tag]``."""
    return _TAGS.get(tag, Manner(traits=(f"span:{tag}",))) if tag else PLAIN


def levels(manner: Manner) -> dict[str, int]:
    """The nearest level of each scale."""
    rate = min(LEVELS, key=lambda level: abs(math.log(RATES[level] / manner.rate)))
    pitch = min(LEVELS, key=lambda level: abs(PITCHES[level] - manner.pitch))
    energy = min(LEVELS, key=lambda level: abs(GAINS[level] - manner.volume))
    return {"rate": rate, "energy": energy, "pitch": pitch}
