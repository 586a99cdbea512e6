"""Styles and tags, which have five levels, as manners, which have numbers; and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stentor_tts.inventory import Inventory, Style, style_of
from stentor_tts.levels import GAINS, LEVELS, PITCHES, RATES, TAGS
from stentor_tts.text.script import PLAIN, Manner

FIELDS = {"rate": "rate", "energy": "volume", "pitch": "pitch"}
"""Scale -> what a manner calls it, and people do."""


def manner(told: str | Mapping[str, Any] | Style | None, inventory: Inventory) -> Manner:
    """The manner of a style, as people write it or as manifests hold it; nothing: the voice's own.

    Raises:
        StentorError: for what the inventory does not have.
    """
    style = told if isinstance(told, Style) else style_of(told, inventory)
    traits = tuple(name for name in style.controls() if name.startswith(("voice:", "style:", "emotion:")))
    return replace(_of_levels(dict(style.levels)), traits=traits)


def of_tag(tag: str) -> Manner:
    """The manner of what stands in ``[tag]``."""
    if not tag:
        return PLAIN
    return _of_levels(dict([TAGS[tag]])) if tag in TAGS else Manner(traits=(f"span:{tag}",))


def levels(manner: Manner) -> dict[str, int]:
    """The nearest level of each scale."""
    rate = min(LEVELS, key=lambda level: abs(math.log(RATES[level] / manner.rate)))
    pitch = min(LEVELS, key=lambda level: abs(PITCHES[level] - manner.pitch))
    energy = min(LEVELS, key=lambda level: abs(GAINS[level] - manner.volume))
    return {"rate": rate, "energy": energy, "pitch": pitch}


def _of_levels(levels: Mapping[str, int]) -> Manner:
    return Manner(RATES[levels.get("rate", 0)], PITCHES[levels.get("pitch", 0)], GAINS[levels.get("energy", 0)])
