"""What the ids of a tokenizer spell, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass

from stentor.errors import StentorError
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.sequence.tokenizers import Bytes

SPACE = b" "
_LOST = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True)
class Pieces:
    """Spellings in UTF-8 by index of the log-probabilities; those joined are the text, but for a space at its start.

    Attributes:
        spelled: of every index; empty for the blank and for ids that spell nothing.
        tokenizer: that they are of.
    """

    spelled: tuple[bytes, ...]
    tokenizer: TextTokenizer

    @classmethod
    def of(cls, tokenizer: TextTokenizer) -> Pieces:
        """The pieces of a trained tokenizer.

        A piece is what it adds behind another one, as decoders strip the space before the first word.
        """
        if isinstance(tokenizer, Bytes):
            return cls((b"", *(bytes([i]) for i in range(256))), tokenizer)
        anchor = next((i for i in reversed(range(tokenizer.size)) if tokenizer.decode([i]).strip()), 0)
        before = len(tokenizer.decode([anchor]))
        texts = [tokenizer.decode([anchor, i])[before:] for i in range(tokenizer.size)]
        return cls((b"", *(text.encode() for text in texts)), tokenizer)

    def text(self, ids: tuple[int, ...]) -> str:
        """What indices of the log-probabilities spell."""
        return self.tokenizer.decode([i - 1 for i in ids])

    def normalised(self, phrase: str) -> bytes:
        """The phrase as the pieces spell it.

        Raises:
            StentorError: when they cannot.
        """
        ids = [i + 1 for i in self.tokenizer.encode(phrase)]
        if not ids or any(self.spelled[i] in (b"", _LOST) for i in ids):
            raise StentorError(f"the model's tokens cannot spell '{phrase}'.", path="hotwords", value=phrase)
        return b"".join(self.spelled[i] for i in ids).strip()

    def check_words(self) -> None:
        """Raise a `StentorError` when a piece holds a space elsewhere than at its start."""
        for index, piece in enumerate(self.spelled):
            if SPACE in piece[1:]:
                text = piece.decode(errors="replace")
                raise StentorError(f"piece {index} ('{text}') spans words, so that a model of words cannot follow; "
                                   f"give a model of tokens.", path="decoder.level")  # fmt: skip
