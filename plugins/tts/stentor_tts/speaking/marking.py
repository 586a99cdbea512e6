"""Sentences as a run reads them: words with tags in brackets, and the style of the whole before them."""

from __future__ import annotations

import re

from stentor.errors import StentorError
from stentor_tts.inventory import Inventory
from stentor_tts.text.script import PLAIN, Manner, Sentence
from stentor_tts.text.style import levels

_ASKED = {"rate": "rate", "energy": "volume", "pitch": "pitch"}
"""Scale -> what people call it."""
_SPANS = {("rate", 1): "fast", ("rate", -1): "slow", ("energy", 1): "loud", ("energy", -1): "soft",
          ("pitch", 1): "high", ("pitch", -1): "low"}  # fmt: skip


def marked(sentence: Sentence, whole: Manner, inventory: Inventory) -> str:
    """The sentence for a task of `inventory`.

    Numbers become the nearest of five levels. One manner of all words is the style of the whole; several are tags. The
    voice is not part of it (`voice_of`).

    Raises:
        StentorError: for what the inventory does not have.
    """
    manners = {stretch.manner for stretch in sentence.stretches}
    common = next(iter(manners)) if len(manners) == 1 else PLAIN
    style = _style(common.within(whole), inventory)
    parts = [
        _tagged(_escaped(one.text), PLAIN if common is not PLAIN else one.manner, inventory)
        for one in sentence.stretches
    ]
    return f"{f'[style: {style}] ' if style else ''}{' '.join(parts)}"


def _style(manner: Manner, inventory: Inventory) -> str:
    _check(manner, inventory)
    named = [trait.replace(":", ": ", 1) for trait in manner.traits if trait.startswith(("style:", "emotion:"))]
    found = [f"{scale}={level:+d}" for scale, level in levels(manner).items() if level and scale in inventory.scales]
    return ", ".join([*named, *found])


def voice_of(manner: Manner) -> str:
    """The name of the voice that is asked for; empty where none is."""
    return next((trait.removeprefix("voice:") for trait in manner.traits if trait.startswith("voice:")), "")


def _tagged(text: str, manner: Manner, inventory: Inventory) -> str:
    """Under the tag of what is asked most; a stretch has one tag."""
    spans = [trait.removeprefix("span:") for trait in manner.traits if trait.startswith("span:")]
    asked = sorted(levels(manner).items(), key=lambda pair: -abs(pair[1]))
    spans += [_SPANS[scale, 1 if level > 0 else -1] for scale, level in asked if level]
    tag = next((span for span in spans if span in inventory.spans), "")
    if spans and not tag:
        raise StentorError(f"the run knows no stretches that are {spans[0]}.", path="text", value=spans[0],
                           options=inventory.spans)  # fmt: skip
    return f"[{tag}]{text}[/{tag}]" if tag else text


def _check(manner: Manner, inventory: Inventory) -> None:
    for scale, level in levels(manner).items():
        if level and scale not in inventory.scales:
            raise StentorError(f"the run does not change its {_ASKED[scale]}.", path="style", value=scale,
                               options=inventory.scales)  # fmt: skip


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]])", r"\\\1", text)
