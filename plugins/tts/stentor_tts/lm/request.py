"""What a row asks to have said: words, tags, style, voice, an example of the voice."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from stentor.interfaces.codec import Codes
from stentor_tts.inventory import NEUTRAL, Inventory, Style, style_of
from stentor_tts.markup import Marked, parse


@dataclass(frozen=True, eq=False)
class Prompt:
    """An example of a voice.

    Attributes:
        codes: of the example.
        text: what is said in it; with it the model goes on from the example (prompt continuation), without it the
            example stands in front and only shows the voice (speaker prompt).
        mel: log-mel frames float [T, BINS] of it, for the acoustic model; None: it hears none.
    """

    codes: Codes
    text: str = ""
    mel: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """One utterance to say.

    Attributes:
        marked: words and spans.
        style: of the whole; what the marked text says of itself is part of it.
        prompt: an example of the voice.
        seed: of what is drawn; None: made of the words.
    """

    marked: Marked
    style: Style = NEUTRAL
    prompt: Prompt | None = None
    seed: int | None = None

    def drawn_by(self, general: int) -> int:
        """The seed of this row's sampling, whatever other rows there are."""
        own = zlib.crc32(self.marked.text.encode()) if self.seed is None else self.seed
        return general * 0x9E3779B1 + own


def read(
    text: str,
    inventory: Inventory,
    *,
    style: str | Mapping[str, Any] | None = None,
    voice: str = "",
    lenient: bool = False,
) -> Request:
    """A request by text with tags, style and voice.

    Args:
        text: see `stentor_tts.markup.parse`.
        inventory: what there is.
        style: see `stentor_tts.inventory.style_of`; what the text says of its style comes on top.
        voice: who shall speak; a voice that the inventory does not have is left out.
        lenient: leave out unknown tags instead of refusing the text.

    Raises:
        StentorError: for what the inventory does not have.
    """
    marked = parse(text, inventory, lenient=lenient)
    general = style_of(style, inventory, lenient=lenient)
    known = voice if voice in inventory.voices else ""
    return Request(marked, _over(replace(general, voice=general.voice or known), marked.style, inventory))


def of_batch(batch: Mapping[str, Any], inventory: Inventory, *, lenient: bool) -> list[Request]:
    """What rows of a batch from the loader say: field ``marked`` or the text, in their style and speaker's voice."""
    customs: Sequence[Mapping[str, Any]] = batch.get("custom") or [{} for _ in batch["texts"]]
    speakers = batch.get("speakers") or ["" for _ in customs]
    return [
        read(
            str(custom.get("marked") or _plain(text)),
            inventory,
            style=custom.get("style"),
            voice=speaker,
            lenient=lenient,
        )
        for text, speaker, custom in zip(batch["texts"], speakers, customs, strict=True)
    ]


def _plain(text: str) -> str:
    """A transcript, in which a bracket is a bracket."""
    return text.replace("[", "\\[").replace("]", "\\]")


def _over(general: Style, own: Style, inventory: Inventory) -> Style:
    """`own` where it says something, `general` elsewhere."""
    levels = {**dict(general.levels), **dict(own.levels)}
    return Style(
        own.voice or general.voice,
        tuple(name for name in inventory.styles if name in (*general.styles, *own.styles)),
        own.emotion or general.emotion,
        tuple((scale, levels[scale]) for scale in inventory.scales if scale in levels),
    )
