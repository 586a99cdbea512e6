"""Text tokenizers: characters, bytes, and byte-pair encoding trained on the corpus."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stentor.errors import StentorError
from stentor.interfaces.tokenizer import TextTokenizer


def _clean(text: str, lowercase: bool) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.lower() if lowercase else text


class Characters(TextTokenizer):
    """One id per character seen in training; id 0 is the unknown character.

    Text is NFC-normalised, runs of white space become one space, and case is dropped if asked.
    """

    def __init__(self, *, lowercase: bool = True) -> None:
        self.lowercase = lowercase
        self._characters: list[str] = []
        self._ids: dict[str, int] = {}

    @property
    def size(self) -> int:
        return len(self._characters) + 1

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(character, 0) for character in _clean(text, self.lowercase)]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self._characters[i - 1] if i > 0 else "\N{REPLACEMENT CHARACTER}" for i in ids)

    def train(self, texts: Iterable[str]) -> None:
        self.load_state({"characters": sorted(set().union(*(_clean(text, self.lowercase) for text in texts)))})

    def state(self) -> Mapping[str, Any]:
        return {"characters": self._characters}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._characters = list(state["characters"])
        self._ids = {character: i for i, character in enumerate(self._characters, 1)}


class Bytes(TextTokenizer):
    """UTF-8 bytes: 256 ids, no training, any language."""

    def __init__(self, *, lowercase: bool = False) -> None:
        self.lowercase = lowercase

    @property
    def size(self) -> int:
        return 256

    def encode(self, text: str) -> list[int]:
        return list(_clean(text, self.lowercase).encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")


class BytePairs(TextTokenizer):
    """Byte-pair encoding (arXiv 1508.07909) trained on the corpus's transcripts; id 0 is the unknown token.

    Words are split at spaces, and a word start is part of its first piece. The result is the same for the same texts,
    in any order.
    """

    def __init__(self, *, pieces: int = 500, lowercase: bool = True) -> None:
        if pieces < 2:
            raise StentorError("a byte-pair vocabulary needs at least 2 pieces.", path="pieces", value=pieces)
        self.pieces, self.lowercase = pieces, lowercase
        self._model: Any = None

    @property
    def size(self) -> int:
        return self._trained().get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self._trained().encode(_clean(text, self.lowercase)).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._trained().decode(list(ids))

    def train(self, texts: Iterable[str]) -> None:
        import tokenizers

        counted = Counter(_clean(text, self.lowercase) for text in texts)
        if not counted:
            raise StentorError("a byte-pair tokenizer cannot be trained on no text.", path="tokenizer")
        model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
        model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        model.decoder = tokenizers.decoders.Metaspace()
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=self.pieces, special_tokens=["<unk>"], show_progress=False)
        model.train_from_iterator(sorted(counted.elements()), trainer)
        self._model = model

    def state(self) -> Mapping[str, Any]:
        return {"model": self._trained().to_str()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        import tokenizers

        self._model = tokenizers.Tokenizer.from_str(state["model"])

    def _trained(self) -> Any:
        if self._model is None:
            raise StentorError("the byte-pair tokenizer is not trained yet: give it texts, or a saved state.")
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {"pieces": self.pieces, "lowercase": self.lowercase, "model": self._model and self._model.to_str()}

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self.__init__(pieces=saved["pieces"], lowercase=saved["lowercase"])  # type: ignore[misc]
        if saved["model"]:
            self.load_state(saved)
