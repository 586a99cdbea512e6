"""Text with tags: ``[style: whisper] turn on [fast]the radio[/fast]`` to words, spans over them, and a style.

Needs no torch. A square bracket that is meant as such is written ``\\[``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stentor.errors import StentorError
from stentor_tts.inventory import NEUTRAL, Inventory, Style, style_of

_PIECE = re.compile(
    r"(?<!\\)\[(?P<tag>[^\[\]]*)\]|(?P<open>(?<!\\)\[)|(?P<close>(?<!\\)\])|(?P<text>(?:\\[\[\]]|[^\[\]])+)"
)


@dataclass(frozen=True)
class TagSpan:
    """A tag that holds for the words ``first`` up to, not including, ``last``."""

    tag: str
    first: int
    last: int


@dataclass(frozen=True)
class Marked:
    """A text that has been read.

    Attributes:
        words: without the tags; punctuation stays with its word.
        spans: in order; they do not overlap.
        style: of the whole.
        ignored: what a lenient reading left out, a sentence each.
    """

    words: tuple[str, ...]
    spans: tuple[TagSpan, ...] = ()
    style: Style = NEUTRAL
    ignored: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(self.words)

    def stretches(self) -> Iterator[tuple[str, str]]:
        """(text, tag) of each stretch of words under one tag, in order; the tag is empty where there is none."""
        place = 0
        for span in self.spans:
            if span.first > place:
                yield " ".join(self.words[place : span.first]), ""
            yield " ".join(self.words[span.first : span.last]), span.tag
            place = span.last
        if place < len(self.words):
            yield " ".join(self.words[place:]), ""


def parse(text: str, inventory: Inventory, *, lenient: bool = False, begun: bool = False) -> Marked:
    """Read a text with tags.

    ``[tag]...[/tag]`` holds for the words between; tags neither nest nor cross. ``[style: WORDS]`` before all words is
    the style of the whole (`stentor_tts.inventory.style_of`).

    Args:
        text: what is written.
        inventory: which tags there are.
        lenient: leave out what is wrong and keep the words, instead of refusing the text.
        begun: whether words of the same text came before these.

    Raises:
        StentorError: for an unknown tag, a span that is not closed or was not opened, nested or crossed spans, a span
            without words, a style that is not known or stands elsewhere, a bracket without its fellow.
    """
    reader = _Reader(text, inventory, lenient=lenient, begun=begun)
    return reader.read()


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, inventory: Inventory, *, lenient: bool, begun: bool) -> None:
        self.text, self.inventory, self.lenient, self.begun = text, inventory, lenient, begun
        self.words: list[str] = []
        self.spans: list[TagSpan] = []
        self.style, self.ignored = NEUTRAL, list[str]()
        self._open: tuple[str, int] | None = None
        self._passed: list[str] = []

    def read(self) -> Marked:
        for piece in _PIECE.finditer(self.text):
            if piece["text"] is not None:
                self._said(piece["text"], piece.start())
            elif piece["tag"] is not None:
                self._tag(" ".join(piece["tag"].split()).lower(), piece.end())
            else:
                fellow = "]" if piece["open"] else "["
                self._wrong(
                    f"a '{piece[0]}' has no '{fellow}'; a bracket that is meant as such is written '\\{piece[0]}'."
                )
        if self._open is not None:
            tag = self._open[0]
            self._wrong(f"[{tag}] is never closed; write [/{tag}] after the last word that it holds for.", tag)
        return Marked(tuple(self.words), tuple(self.spans), self.style, tuple(self.ignored))

    def _said(self, piece: str, start: int) -> None:
        words = re.sub(r"\\([\[\]])", r"\1", piece).split()
        joins = start > 0 and not piece[:1].isspace() and self.words and words
        if joins and not any(map(str.isalnum, words[0])):  # punctuation after a tag belongs to the word before it
            self.words[-1] += words.pop(0)
        self.words += words

    def _tag(self, tag: str, end: int) -> None:
        if tag.startswith("style:"):
            self._whole(tag.removeprefix("style:"))
        elif tag.startswith("/"):
            self._closed(tag[1:].strip())
        elif tag not in self.inventory.spans:
            self._wrong(f"there is no tag [{tag}].", tag, self.inventory.spans)
            self._passed.append(tag)
        elif self._open is not None:
            crossed = self._crosses(tag, end)
            how = "crosses" if crossed else "stands inside of"
            outer = self._open[0]
            self._wrong(f"[{tag}] {how} [{outer}]; write [/{outer}] before it, as spans neither nest nor cross.", tag)
            self._passed.append(tag)
        else:
            self._open = tag, len(self.words)

    def _crosses(self, tag: str, end: int) -> bool:
        """Whether the open span ends before the one that begins inside of it."""
        assert self._open is not None
        ends = [
            re.search(rf"\[\s*/\s*{re.escape(name)}\s*\]", self.text[end:], re.IGNORECASE)
            for name in (self._open[0], tag)
        ]
        return bool(ends[0] and ends[1] and ends[0].start() < ends[1].start())

    def _closed(self, tag: str) -> None:
        if tag in self._passed:
            self._passed.remove(tag)
        elif self._open is None or self._open[0] != tag:
            self._wrong(
                f"[/{tag}] closes what was never opened; write [{tag}] before the first word that it holds for.", tag
            )
        else:
            first, self._open = self._open[1], None
            if first < len(self.words):
                self.spans.append(TagSpan(tag, first, len(self.words)))
            else:
                self._wrong(f"between [{tag}] and [/{tag}] there is no word.", tag)

    def _whole(self, told: str) -> None:
        if self.words or self.begun:
            self._wrong("[style: ...] is for the whole text and stands before its first word.")
        else:
            self.style = style_of(told, self.inventory, lenient=self.lenient)

    def _wrong(self, message: str, value: str | None = None, options: tuple[str, ...] = ()) -> None:
        if not self.lenient:
            raise StentorError(message, path="text", value=value, options=options)
        self.ignored.append(message)
