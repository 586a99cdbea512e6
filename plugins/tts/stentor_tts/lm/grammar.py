"""The grammar of speech word by word: codes in whole groups, and every word's text given when its turn comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from stentor.sequence.codes import Arrangement
from stentor.sequence.grammar import Grammar

Edge = Literal["leave", "must leave", "must end"]


class Place(NamedTuple):
    """Where a row stands.

    Attributes:
        inner: state of the grammar of codes.
        word: which word is being said.
        given: how many ids of its text have been given.
        slot: place in the group of codes.
        groups: how many groups of codes the word has.
    """

    inner: Any
    word: int = 0
    given: int = 0
    slot: int = 0
    groups: int = 0


class Masks:
    """What word-by-word grammars of one vocabulary share: each mask is made once.

    Args:
        arrangement: of codes.
        group: codes in a group.
        size: number of ids in the vocabulary.
        word: the id with which a word gives way to the next.
        end: the id that ends the row.
    """

    def __init__(self, arrangement: Arrangement, group: int, size: int, word: int, end: int) -> None:
        self.codes, self.group, self.size, self.word, self.end = arrangement.grammar(size, end), group, size, word, end
        books = arrangement.ranges
        self._content = self._mask(index for book in books for index in book)
        self._begins = self._mask(books[0])
        self._only: dict[int, Tensor] = {}
        self._edges: dict[tuple[int, Edge], tuple[Tensor, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_edges": {}}  # known by the numbers of masks that are not those of the copy

    def only(self, token: int) -> Tensor:
        """bool [V]: `token` alone."""
        if token not in self._only:
            self._only[token] = self._mask([token])
        return self._only[token]

    def edge(self, mask: Tensor, edge: Edge) -> Tensor:
        """What may come between two groups, where the grammar of codes allows `mask`.

        ``leave``: codes go on, or the next word's turn has come; ``must leave``: it has; ``must end``: no further code.
        """
        if edge == "must leave":
            return self.only(self.word)
        if (id(mask), edge) not in self._edges:
            found = mask & self._content | self.only(self.word) if edge == "leave" else mask & ~self._begins
            self._edges[id(mask), edge] = mask, found  # the mask is kept, so that its number stays its own
        return self._edges[id(mask), edge][1]

    def _mask(self, ids: Iterable[int]) -> Tensor:
        found = torch.zeros(self.size, dtype=torch.bool)
        found[list(ids)] = True
        return found


class WordByWord(Grammar[Place]):
    """Codes of the first word, ``word``, the next word's text, its codes, ..., ``end``.

    A word has whole groups of codes, or none, and at most as many as it is granted. So every word is said once and in
    order, whatever is sampled. With one word alone it is the grammar of codes with a ceiling.

    Args:
        masks: shared by the rows of a model.
        texts: ids to be given after each ``word``, one list less than there are words.
        longest: most groups of codes in each word.
    """

    def __init__(self, masks: Masks, texts: Sequence[Sequence[int]], longest: Sequence[int]) -> None:
        self.size = masks.size
        self._masks, self._texts, self._longest = masks, [(), *map(tuple, texts)], longest

    @property
    def most(self) -> int:
        """Tokens that a row can have; ``end`` is one of them, and what an arrangement takes to end is counted in."""
        late = self._masks.group * self._masks.group
        return sum(self._longest) * self._masks.group + sum(len(text) + 1 for text in self._texts) + late

    def start(self) -> Place:
        return Place(self._masks.codes.start())

    def allowed(self, state: Place) -> Tensor:
        text, masks = self._texts[state.word], self._masks
        if state.given < len(text):
            return masks.only(text[state.given])
        mask = masks.codes.allowed(state.inner)
        over = state.groups >= self._longest[state.word]
        if state.slot:
            return mask
        if state.word + 1 < len(self._texts):
            return masks.edge(mask, "must leave" if over else "leave")
        return masks.edge(mask, "must end") if over else mask

    def advance(self, state: Place, token: int) -> Place:
        if state.given < len(self._texts[state.word]):
            return state._replace(given=state.given + 1)
        if token == self._masks.word:
            return Place(state.inner, state.word + 1)
        inner, slot = self._masks.codes.advance(state.inner, token), (state.slot + 1) % self._masks.group
        return Place(inner, state.word, state.given, slot, state.groups + (slot == 0))
