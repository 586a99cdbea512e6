"""One id space for text, audio codes and control tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stentor.errors import StentorError


@dataclass(frozen=True)
class Block:
    """A range of ids [start, start + size), with a name for each id where it has one (controls)."""

    name: str
    start: int
    size: int
    tokens: tuple[str, ...] = ()

    @property
    def range(self) -> range:
        return range(self.start, self.start + self.size)


class Vocabulary:
    """Disjoint blocks of ids, appended in order; adding a block never moves an older one.

    >>> vocabulary = Vocabulary()
    >>> vocabulary.add("text", 100).start, vocabulary.add_controls(["end"]).start
    (0, 100)
    >>> vocabulary.control("end")
    100
    """

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}
        self._controls: dict[str, int] = {}

    @property
    def size(self) -> int:
        """The number of ids in all."""
        return sum(block.size for block in self._blocks.values())

    def add(self, name: str, size: int, tokens: Sequence[str] = ()) -> Block:
        """Append a block of `size` ids.

        Raises:
            StentorError: when the name is taken or the size is not positive.
        """
        if name in self._blocks:
            raise StentorError(f"the vocabulary already has a block '{name}'.", path=f"vocabulary.{name}")
        if size < 1:
            raise StentorError(f"block '{name}' has {size} ids; it needs at least one.", path=f"vocabulary.{name}")
        self._blocks[name] = Block(name, self.size, size, tuple(tokens))
        return self._blocks[name]

    def add_controls(self, names: Sequence[str], block: str = "control") -> Block:
        """Append one id for each control token."""
        known = [name for name in names if name in self._controls]
        if known or len(set(names)) < len(names):
            raise StentorError(f"control tokens {known or list(names)} are named twice.", path=f"vocabulary.{block}")
        added = self.add(block, len(names), names)
        self._controls.update(zip(names, added.range, strict=True))
        return added

    def block(self, name: str) -> Block:
        """The block called `name`."""
        if name not in self._blocks:
            raise StentorError(f"the vocabulary has no block '{name}'.", value=name, options=list(self._blocks))
        return self._blocks[name]

    def control(self, name: str) -> int:
        """The id of a control token."""
        if name not in self._controls:
            raise StentorError(f"there is no control token '{name}'.", value=name, options=list(self._controls))
        return self._controls[name]

    def blocks(self) -> list[Block]:
        return list(self._blocks.values())

    def state(self) -> list[dict[str, Any]]:
        """JSON-ready."""
        return [{"name": b.name, "size": b.size, "tokens": list(b.tokens)} for b in self._blocks.values()]

    @classmethod
    def from_state(cls, state: Sequence[Mapping[str, Any]]) -> Vocabulary:
        """The vocabulary that gave `state`."""
        vocabulary = cls()
        for row in state:
            if row["tokens"]:
                vocabulary.add_controls(row["tokens"], row["name"])
            else:
                vocabulary.add(row["name"], row["size"])
        return vocabulary
