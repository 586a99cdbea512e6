"""What can be asked of a voice beside the words: declared tags, five-level scales, and styles that are made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stentor.errors import Problem, StentorError
from stentor_tts.levels import LEVELS, TAGS

_WORDS = {(scale, 1 if level > 0 else -1): word for word, (scale, level) in TAGS.items()}
"""Scale and direction -> the word for one level."""
_LEVEL = re.compile(r"([a-z][\w-]*)\s*[=: ]\s*([+-]?\d+)")
_NAMED = re.compile(r"(voice|style|emotion)\s*[=:]\s*(\S.*)")


@dataclass(frozen=True)
class Inventory:
    """Descriptive and comparative tags (Step-Audio, arXiv 2502.11946), and tags for some of the words (2605.23463).

    Attributes:
        voices: descriptive: names of the voices.
        styles: descriptive: manners such as ``whisper``, any number at once.
        emotions: descriptive: one at a time.
        scales: comparative: five levels from -2 to 2, of which 0 is neutral and is not written.
        spans: tags that hold for the words between ``[tag]`` and ``[/tag]``.
    """

    voices: tuple[str, ...] = ()
    styles: tuple[str, ...] = ("whisper",)
    emotions: tuple[str, ...] = ()
    scales: tuple[str, ...] = ("rate", "energy", "pitch")
    spans: tuple[str, ...] = ("fast", "slow", "loud", "soft")

    def controls(self) -> tuple[str, ...]:
        """Names of the control tokens that say all of it, in order."""
        named = (("voice", self.voices), ("style", self.styles), ("emotion", self.emotions))
        found = [f"{kind}:{name}" for kind, names in named for name in names]
        found += [f"{scale}:{level:+d}" for scale in self.scales for level in LEVELS if level]
        return (*found, *(f"span:{tag}" for tag in self.spans))


@dataclass(frozen=True)
class Style:
    """How all of a text is to be said.

    Attributes:
        voice: one of the inventory's, or empty.
        styles: in the inventory's order.
        emotion: or empty.
        levels: (scale, level) of what is not neutral, in the inventory's order.
    """

    voice: str = ""
    styles: tuple[str, ...] = ()
    emotion: str = ""
    levels: tuple[tuple[str, int], ...] = ()

    @property
    def unnamed(self) -> Style:
        """The same without the voice's name."""
        return replace(self, voice="")

    def controls(self) -> tuple[str, ...]:
        """Names of its control tokens, in the inventory's order."""
        found = [f"voice:{self.voice}"] * bool(self.voice) + [f"style:{name}" for name in self.styles]
        found += [f"emotion:{self.emotion}"] * bool(self.emotion)
        return (*found, *(f"{scale}:{level:+d}" for scale, level in self.levels if level))


NEUTRAL = Style()


def style_of(told: str | Mapping[str, Any] | None, inventory: Inventory, *, lenient: bool = False) -> Style:
    """A style as people write it (``whisper, slow, rate=2``) or as manifests hold it (``{"rate": 2, ...}``).

    In words, ``slow fast soft loud low high`` are one level of their scale, two with ``very`` before them.

    Args:
        told: words, a mapping, or None.
        inventory: what there is.
        lenient: leave out what there is not, instead of refusing it.

    Raises:
        StentorError: for everything in it that there is not, unless it is lenient.
    """
    found = _Found(inventory)
    if isinstance(told, Mapping):
        for name, value in told.items():
            found.field(str(name), value)
    else:
        for word in re.split(r"[,;]", told or ""):
            if word.strip():
                found.word(" ".join(word.split()).lower())
    if found.problems and not lenient:
        raise StentorError(problems=found.problems)
    return found.style()


class _Found:
    """What has been read of a style."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory, self.problems = inventory, list[Problem]()
        self._named: dict[str, str] = {}
        self._styles: set[str] = set()
        self._levels: dict[str, int] = {}

    def style(self) -> Style:
        levels = tuple((scale, self._levels[scale]) for scale in self.inventory.scales if self._levels.get(scale))
        styles = tuple(name for name in self.inventory.styles if name in self._styles)
        return Style(self._named.get("voice", ""), styles, self._named.get("emotion", ""), levels)

    def field(self, name: str, value: Any) -> None:
        """One field of a mapping."""
        if isinstance(value, bool):
            if value:
                self._described("style", name)
        elif isinstance(value, int):
            self._level(name, value)
        elif value:
            self._described(name, str(value)) if name in ("voice", "style", "emotion") else self._unknown(name)

    def word(self, word: str) -> None:
        """One of the words between commas."""
        shade = {text: (scale, sign) for (scale, sign), text in _WORDS.items() if scale in self.inventory.scales}
        bare = word.removeprefix("very ")
        level, named = _LEVEL.fullmatch(word), _NAMED.fullmatch(word)
        if bare in shade:
            scale, sign = shade[bare]
            self._levels[scale] = sign * (1 if bare == word else 2)
        elif level:
            self._level(level[1], int(level[2]))
        elif named:
            self._described(named[1], named[2])
        elif word != "neutral":
            kinds = (
                ("style", self.inventory.styles),
                ("emotion", self.inventory.emotions),
                ("voice", self.inventory.voices),
            )
            kind = next((kind for kind, names in kinds if word in names), "")
            self._described(kind, word) if kind else self._unknown(word)

    def _level(self, scale: str, level: int) -> None:
        if level == 0 and (scale, 1) in _WORDS:
            self._levels[scale] = 0  # neutral asks for nothing, so also of a model without this scale
        elif scale not in self.inventory.scales:
            self._unknown(scale)
        elif level not in LEVELS:
            self.problems.append(Problem(f"'{scale}' has levels from -2 to 2, not {level}.", "style", level))
        else:
            self._levels[scale] = level

    def _described(self, kind: str, name: str) -> None:
        known: Sequence[str] = getattr(self.inventory, f"{kind}s")
        if name not in known:
            self.problems.append(_problem(f"there is no {kind} '{name}'.", name, known))
        elif kind == "style":
            self._styles.add(name)
        else:
            self._named[kind] = name

    def _unknown(self, word: str) -> None:
        own = self.inventory
        shades = [text for (scale, _), text in _WORDS.items() if scale in own.scales]
        self.problems.append(
            _problem(f"there is no style '{word}'.", word, [*own.styles, *own.emotions, *shades, *own.scales])
        )


def _problem(message: str, value: str, options: Sequence[str]) -> Problem:
    return StentorError(message, path="style", value=value, options=options).problems[0]
