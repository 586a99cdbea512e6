"""The contract of text tokenizers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from stentor.testing.contract import ComponentContract
from stentor.testing.signals import SENTENCES


class TokenizerContract(ComponentContract):
    """Checks for text tokenizers.

    Attributes:
        texts: what it is trained on and has to spell.
        strange: texts with characters that it never saw.
    """

    kind = "tokenizer"
    texts: ClassVar[Sequence[str]] = SENTENCES
    strange: ClassVar[Sequence[str]] = ("", " ", "smörgåsbord", "Ωμέγα", "你好", "\x00\u200b", "a" * 500)

    def trained(self) -> Any:
        """A new instance, trained on `texts`."""
        tokenizer = self.build()
        tokenizer.train(self.texts)
        return tokenizer

    def probe(self, component: Any) -> Any:
        component.train(self.texts)
        return [component.encode(text) for text in (*self.texts, *self.strange)]

    def test_round_trip(self) -> None:
        """`decode(encode(text))` is the text, up to case, spacing and punctuation; once more changes nothing."""
        if "sounds" in self.component_class.capabilities:
            self.skip(f"tokenizer '{self.name}' spells sounds, from which no text comes back")
        tokenizer = self.trained()
        for text in self.texts:
            once = tokenizer.decode(tokenizer.encode(text))
            self.demand(_letters(once) == _letters(text), f"{text!r} comes back as {once!r}.")
            again = tokenizer.decode(tokenizer.encode(once))
            self.demand(again == once, f"its normal form {once!r} comes back as {again!r}.")

    def test_ids_in_range(self) -> None:
        """Ids are whole numbers from 0 to size - 1; codebooks add up to size."""
        tokenizer = self.trained()
        for text in (*self.texts, *self.strange):
            ids = tokenizer.encode(text)
            bad = [token for token in ids if type(token) is not int or not 0 <= token < tokenizer.size]
            self.demand(not bad, f"{text!r:.40} gives id {bad[:1]} with size {tokenizer.size}.")
        total = sum(codebook.size for codebook in tokenizer.codebooks)
        self.demand(total == tokenizer.size, f"its codebooks hold {total} ids, its size is {tokenizer.size}.")

    def test_unknown_characters(self) -> None:
        """What it cannot spell is no error, and does not spoil what stands beside it."""
        tokenizer = self.trained()
        for text in self.strange:
            decoded = tokenizer.decode(tokenizer.encode(text))
            self.demand(isinstance(decoded, str), f"{text!r:.40} decodes to a {type(decoded).__name__}.")
        known = self.texts[0]
        alone = tokenizer.decode(tokenizer.encode(known))
        mixed = tokenizer.decode(tokenizer.encode(f"{known} 你 {known}"))
        self.demand(_letters(mixed).count(_letters(alone)) == 2, f"'{known} 你 {known}' comes back as {mixed!r}.")

    def test_decodes_any_ids(self) -> None:
        """Any ids decode to text: a model may emit them in any order."""
        tokenizer = self.trained()
        text = tokenizer.decode(list(range(tokenizer.size))[::-1])
        self.demand(isinstance(text, str), f"all ids decode to a {type(text).__name__}.")
        self.demand(tokenizer.decode([]) == "", f"no ids decode to {tokenizer.decode([])!r}.")

    def test_state_round_trip(self) -> None:
        """Its state survives JSON and makes a new instance spell alike."""
        tokenizer, other = self.trained(), self.build()
        other.load_state(json.loads(json.dumps(tokenizer.state())))
        self.demand(other.size == tokenizer.size, f"size {tokenizer.size} comes back as {other.size}.")
        for text in (*self.texts, *self.strange):
            self.demand(
                other.encode(text) == tokenizer.encode(text), f"a restored instance spells {text!r:.40} otherwise."
            )

    def test_deterministic(self) -> None:
        """Trained twice on the same texts, it spells alike."""
        first, second = self.trained(), self.trained()
        for text in self.texts:
            self.demand(first.encode(text) == second.encode(text), f"trained twice, it spells {text!r} in two ways.")


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
