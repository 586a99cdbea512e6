"""Sentences as a run reads them: words with tags in brackets, and the style of the whole before them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stentor.errors import StentorError
from stentor_tts.inventory import Inventory
from stentor_tts.levels import TAGS
from stentor_tts.text.script import PLAIN, Manner, Sentence
from stentor_tts.text.ssml import VOLUMES
from stentor_tts.text.style import FIELDS, levels

_SPANS = {(scale, level > 0): tag for tag, (scale, level) in TAGS.items()}
_SILENT = VOLUMES["silent"] + 20.0
"""Nobody hears this, however loud what stands around it (dB)."""


def marked(sentence: Sentence, whole: Manner, inventory: Inventory) -> str:
    """The sentence for a task of `inventory`.

    Numbers become the nearest of five levels. What is asked of the whole, and what all stretches ask alike, is the
    style of the sentence; by what else a stretch asks, it is tagged. The voice is not part of it (`voice_of`).

    Raises:
        StentorError: for what the inventory does not have, and what one tag cannot say.
    """
    for one in sentence.stretches:
        if one.manner.volume + whole.volume <= _SILENT:
            raise StentorError("the run says every word aloud; for silence write a break.", path="text", value=one.text)
    common = _common([stretch.manner for stretch in sentence.stretches], inventory)
    style = _style(common.within(whole), inventory)
    parts = [_tagged(_escaped(one.text), _beyond(one.manner, common), inventory) for one in sentence.stretches]
    return f"{f'[style: {style}] ' if style else ''}{' '.join(parts)}"


def _common(manners: Sequence[Manner], inventory: Inventory) -> Manner:
    """What all of them ask alike and a style can say."""
    first = manners[0] if manners else PLAIN
    alike = {
        asked: getattr(first, asked)
        for scale, asked in FIELDS.items()
        if scale in inventory.scales and len({getattr(one, asked) for one in manners}) == 1
    }
    traits = [one for one in first.traits if not one.startswith("span:") and all(one in m.traits for m in manners)]
    return Manner(**alike, traits=tuple(traits))


def _beyond(manner: Manner, common: Manner) -> Manner:
    """What it asks and `common` does not."""
    traits = tuple(one for one in manner.traits if one not in common.traits)
    return Manner(manner.rate / common.rate, manner.pitch - common.pitch, manner.volume - common.volume, traits)


def _style(manner: Manner, inventory: Inventory) -> str:
    _check(manner, inventory)
    named = [trait.replace(":", ": ", 1) for trait in manner.traits if trait.startswith(("style:", "emotion:"))]
    found = [f"{scale}={level:+d}" for scale, level in levels(manner).items() if level and scale in inventory.scales]
    return ", ".join([*named, *found])


def voice_of(manner: Manner) -> str:
    """The name of the voice that is asked for, the last where several are; empty where none is."""
    return next((one.removeprefix("voice:") for one in reversed(manner.traits) if one.startswith("voice:")), "")


def _tagged(text: str, manner: Manner, inventory: Inventory) -> str:
    """Under the tag of what is asked; a stretch has one tag."""
    spans = [trait.partition(":")[2] for trait in manner.traits]
    spans += [_SPANS[scale, level > 0] for scale, level in levels(manner).items() if level]
    for span in spans:
        if span not in inventory.spans:
            raise StentorError(f"the run knows no stretches that are {span}.", path="text", value=span,
                               options=inventory.spans)  # fmt: skip
    if len(spans) > 1:
        raise StentorError(f"the run says a stretch in one manner at a time, not {' and '.join(spans)} at once.",
                           path="text", value=text)  # fmt: skip
    return f"[{spans[0]}]{text}[/{spans[0]}]" if spans else text


def _check(manner: Manner, inventory: Inventory) -> None:
    for scale, level in levels(manner).items():
        if level and scale not in inventory.scales:
            raise StentorError(f"the run does not change its {FIELDS[scale]}.", path="style", value=scale,
                               options=inventory.scales)  # fmt: skip


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]])", r"\\\1", text)
