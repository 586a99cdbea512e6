"""Tokenizers: text or audio to ids and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stentor.interfaces.component import Component


@dataclass(frozen=True)
class Codebook:
    """One range of ids: its name, how many codes it has, and codes per second (Hz; 0 for text)."""

    name: str
    size: int
    rate: float = 0.0


class TextTokenizer(Component, ABC):
    """Text to ids 0..size-1 and back; ids are local, the vocabulary places them in the model's id space.

    ``decode(encode(text))`` is `text` after the tokenizer's own stated normalisation. A trainable tokenizer fits in
    `train`; its state is plain data, saved as JSON with the run and given back to `load_state`.

    Capability ``"sounds"``: it spells what is said; `decode` gives that in the tokenizer's notation, not the text.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of ids."""

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        return (Codebook("text", self.size),)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of `text`; what it cannot spell becomes the unknown id, never an error."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`."""

    def train(self, texts: Iterable[str]) -> None:
        """Fit to `texts`; nothing to do for a fixed tokenizer."""

    def state(self) -> Mapping[str, Any]:
        """JSON-ready state."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the state back."""
