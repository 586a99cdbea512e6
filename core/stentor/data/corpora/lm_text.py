"""Text to pretrain small language models on: documentation that comes with Python, and tasks in text form."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from stentor.data.corpora.commands_text import Sentences
from stentor.data.corpora.phrases_text import ANSWER, CHAT, TRANSCRIBE, TRANSLATE, Phrases
from stentor.interfaces.corpus import Corpus, Item, Rejected

_END = re.compile(r"(?<=[.!?:])\s+|\n\s*\n")
_PLAIN = re.compile(r"[a-z' ]+")
_WORDS = range(4, 15)
_SHARES = {"sentence": 22, "question": 10, "translate": 22, "answer": 18, "read": 12, "words": 10, "running": 6}
"""Shares (%) of the kinds of row in a split; in split ``chat``, every second row is a chat instead."""
_COMMANDS = 2000
_LICENCE = "phrases and commands: this project's; documentation of Python: PSF-2.0"


class LMText(Corpus):
    """Text alone, no audio: for language models that are later made to hear (arXiv 2406.13357).

    A row is running text, or an instruction, what is given, and the response. The running text of splits ``base`` and
    ``chat`` is the docstrings of Python's standard library and the training sentences of corpus `commands`, that of
    ``unrelated`` the language reference that Python brings (``pydoc_data.topics``); the tasks are those of corpus
    `phrases`, on its training sentences only.

    Args:
        rows: in each of ``base`` and ``unrelated``.
        chat: rows in split ``chat``.
        valid: rows in split ``valid``: those of ``base`` over other sentences.
        seed: of everything.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        rows: int = 24000,
        chat: int = 8000,
        valid: int = 300,
        seed: int = 0,
    ) -> None:
        self._sizes = {"base": rows, "chat": chat, "unrelated": rows, "valid": valid}
        self._seed = seed

    def total(self) -> int:
        return sum(self._sizes.values())

    def items(self) -> Iterator[Item | Rejected]:
        for split, size in self._sizes.items():
            texts = _reference() if split == "unrelated" else (*_docstrings(), *_commands())
            rows = _Rows(texts, Phrases("valid" if split == "valid" else "train", self._seed), f"{split} {self._seed}")
            for number in range(size):
                instruction, given, response = rows.chat() if split == "chat" and number % 2 else rows.plain()
                told = {"instruction": instruction, "given": given} if instruction else {}
                yield Item(f"{split}-{number:05d}", None, response, split=split,
                           custom={**told, "licence": _LICENCE})  # fmt: skip


class _Rows:
    """Rows (instruction, given, response) of one split."""

    def __init__(self, texts: tuple[str, ...], phrases: Phrases, seed: str) -> None:
        self._texts, self._phrases, self._rng = texts, phrases, random.Random(seed)
        self._vocabulary = sorted({word for text in texts for word in text.split()})
        self._makers: dict[str, Callable[[], tuple[str, str, str]]] = {
            "sentence": lambda: self._task(TRANSCRIBE, self._phrases.sentence().spoken),
            "question": lambda: self._task(TRANSCRIBE, self._phrases.question().spoken),
            "translate": self._translate,
            "answer": self._answer,
            "read": lambda: self._task(TRANSCRIBE, self._rng.choice(self._texts)),
            "words": lambda: self._task(TRANSCRIBE, " ".join(self._rng.choices(self._vocabulary, k=5))),
            "running": lambda: ("", "", self._rng.choice(self._texts)),
        }

    def plain(self) -> tuple[str, str, str]:
        kind = self._rng.choices(list(_SHARES), list(_SHARES.values()))[0]
        return self._makers[kind]()

    def chat(self) -> tuple[str, str, str]:
        phrase = self._phrases.sentence() if self._rng.random() < 0.7 else self._phrases.question()
        task, response = self._rng.choice(list(phrase.chats().items()))
        return self._rng.choice(CHAT[task]), phrase.spoken, response.strip()

    def _task(self, instruction: str, text: str) -> tuple[str, str, str]:
        return instruction, text, text

    def _translate(self) -> tuple[str, str, str]:
        phrase = self._phrases.sentence()
        return TRANSLATE, phrase.spoken, phrase.german

    def _answer(self) -> tuple[str, str, str]:
        phrase = self._phrases.question()
        return ANSWER, phrase.spoken, phrase.answer


@cache
def _reference() -> tuple[str, ...]:
    """Sentences of Python's language reference."""
    from pydoc_data.topics import topics

    return _sentences(topics.values())


@cache
def _docstrings() -> tuple[str, ...]:
    """Sentences of the docstrings of the standard library's modules."""
    return _sentences(
        docstring
        for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if (docstring := ast.get_docstring(node))
    )


@cache
def _commands() -> tuple[str, ...]:
    stream = Sentences("train", 0)
    return tuple(dict.fromkeys(stream.draw() for _ in range(_COMMANDS)))


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """Sentences of 4 to 14 words that hold letters alone, in lower case and without punctuation; each once."""
    found = (" ".join(re.sub(r"[.,:;!?()\"]", " ", part.lower()).split())
             for text in texts for part in _END.split(text))  # fmt: skip
    return tuple(dict.fromkeys(text for text in found if len(text.split()) in _WORDS and _PLAIN.fullmatch(text)))
