"""Layouts of synthesis: text, style, examples of a voice and codes on the model's timeline.

Two orders. ``text-first``: ``begin`` STYLE TEXT ``speak`` CODES ``end``: all is read before anything is said.
``by-word``: ``begin`` STYLE ``word`` TEXT-OF-WORD CODES-OF-WORD ``word`` ... ``last`` TEXT CODES ``end``: every word is
read when its turn comes, so that the model always knows where it is, and may speak while the text is still coming; the
last word is announced, as voices fall there.

A speaker prompt is ``like`` CODES before the text. A prompt that is to be continued is text and codes said already.
A word in a span has the span's control before its ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor.sequence import spans
from stentor.sequence.codes import Arrangement, Delayed, Grouped, add_blocks
from stentor.sequence.spans import Span
from stentor.sequence.vocabulary import Vocabulary
from stentor_tts.inventory import Inventory, Style
from stentor_tts.lm.units import Unit

Order = Literal["text-first", "by-word"]
Pattern = Literal["grouped", "delayed"]
CONTROLS = ("begin", "like", "speak", "word", "last", "end", "pad")


def vocabulary(
    text_size: int, codec: CodecSpec, inventory: Inventory, state: Sequence[Mapping[str, Any]] | None = None
) -> Vocabulary:
    """Text ids 0..text_size-1, a block for each codebook, the controls, and those of the inventory.

    With the `state` of an earlier vocabulary its ids stay, and what it lacks of the inventory comes behind them.

    Raises:
        StentorError: when the earlier one is of another text or codec.
    """
    built = Vocabulary()
    built.add("text", text_size)
    add_blocks(built, codec)
    built.add_controls(CONTROLS)
    if state is not None:
        own, built = built.state(), Vocabulary.from_state(state)
        if list(state[: len(own)]) != own:
            raise StentorError("the vocabulary is of another text tokenizer or of other codebooks.", path="codec")
    known = {token for block in built.blocks() for token in block.tokens}
    if fresh := [name for name in inventory.controls() if name not in known]:
        built.add_controls(fresh, f"inventory-{len(built.blocks())}")
    return built


def voices(vocabulary: Vocabulary) -> list[str]:
    """Names of all voices that the vocabulary has ids for, in the order of these."""
    named = [token for block in vocabulary.blocks() for token in block.tokens]
    return [token.removeprefix("voice:") for token in named if token.startswith("voice:")]


def arrangement(vocabulary: Vocabulary, codec: CodecSpec, pattern: Pattern) -> Arrangement:
    """How the codes of the codec lie in the vocabulary's sequences."""
    ranges = [vocabulary.block(f"codes.{book.name}").range for book in codec.codebooks]
    return Grouped(ranges, codec.pattern) if pattern == "grouped" else Delayed(ranges, vocabulary.control("pad"))


@dataclass(frozen=True, eq=False)
class Utterance:
    """What is said, or is to be said.

    Attributes:
        units: the words.
        codes: arranged ids int64 [n] of all of it, whole groups; empty where nothing is said yet.
        starts: ids of `codes` that lie before each unit; needed by word.
    """

    units: Sequence[Unit]
    codes: Tensor
    starts: Sequence[int] = ()

    def __add__(self, other: Utterance) -> Utterance:
        """One after the other."""
        later = [len(self.codes) + start for start in other.starts]
        codes = torch.cat([self.codes, other.codes])
        return Utterance([*self.units, *other.units], codes, [*self.starts, *later])

    def part(self, word: int) -> Tensor:
        """The codes of one unit."""
        edges = [*self.starts, len(self.codes)]
        return self.codes[edges[word] : edges[word + 1]]


class Layout:
    """Lays utterances out in one vocabulary.

    Args:
        vocabulary: from `vocabulary`.
        order: see above.
        space: the text id between words, where the tokenizer has one.
    """

    def __init__(self, vocabulary: Vocabulary, order: Order, space: int | None) -> None:
        self.vocabulary, self.order, self.space = vocabulary, order, space

    def example(self, style: Style, said: Utterance, like: Tensor | None = None) -> list[Span]:
        """An utterance with its codes, which carry the loss, as do ``word``, ``last`` and ``end`` behind them.

        Args:
            style: of the whole.
            said: words and codes.
            like: arranged codes int64 [n] of an example of the voice.
        """
        head = self._head(style, like)
        if self.order == "text-first":
            return [
                *head,
                *self._text(said.units),
                self._control("speak"),
                *_codes(said.codes),
                self._control("end", 1.0),
            ]
        texts = self.texts(said.units)
        for word, text in enumerate(texts):
            head += [self._control("word", float(word > 0)), _given(text), *_codes(said.part(word))]
        return [*head, self._control("end", 1.0)]

    def prompt(
        self, style: Style, units: Sequence[Unit], said: Utterance | None = None, like: Tensor | None = None
    ) -> list[Span]:
        """What stands before the first code to be generated; by word that is the first word's text alone.

        Args:
            style: of the whole.
            units: what is to be said.
            said: a prompt to be continued, with its codes.
            like: arranged codes of an example of the voice.
        """
        head = self._head(style, like)
        before = [] if said is None else list(said.units)
        if self.order == "text-first":
            codes = [] if said is None else _codes(said.codes, 0.0)
            return [*head, *self._text([*before, *units]), self._control("speak"), *codes]
        texts = self.texts([*before, *units])
        for word in range(len(before)):
            codes = [] if said is None else _codes(said.part(word), 0.0)
            head += [self._control("word"), _given(texts[word]), *codes]
        return [*head, self._control("word"), _given(texts[len(before)])]

    def texts(self, units: Sequence[Unit]) -> list[list[int]]:
        """What is given of each word when its turn comes."""
        announced = [self.vocabulary.control("last")]
        return [[*(announced if word + 1 == len(units) else []), *self.ids(unit)] for word, unit in enumerate(units)]

    def ids(self, unit: Unit) -> list[int]:
        """The ids of a word with the control of its span."""
        return [*([self.vocabulary.control(f"span:{unit.tag}")] if unit.tag else []), *unit.ids]

    def _head(self, style: Style, like: Tensor | None) -> list[Span]:
        shown = [] if like is None or not len(like) else [self._control("like"), *_codes(like, 0.0)]
        return [self._control("begin"), *(self._control(name) for name in style.controls()), *shown]

    def _text(self, units: Sequence[Unit]) -> list[Span]:
        between = [] if self.space is None else [self.space]
        ids = [i for place, unit in enumerate(units) for i in [*(between if place else []), *self.ids(unit)]]
        return [_given(ids)] if ids else []

    def _control(self, name: str, weight: float = 0.0) -> Span:
        return spans.control(self.vocabulary.control(name), weight=weight)


def _given(ids: Sequence[int]) -> Span:
    return spans.text(list(ids), weight=0.0, role="user")


def _codes(ids: Tensor, weight: float = 1.0) -> list[Span]:
    return [spans.codes(ids.cpu(), weight=weight)] if len(ids) else []
