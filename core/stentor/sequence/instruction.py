"""The layout of instructions: what is asked, what is given, what is responded; running text stands alone.

``begin`` INSTRUCTION ``given`` SOURCE ``answer`` RESPONSE ``end``, and ``begin`` TEXT ``end``. The source is read or
heard: a language model that was trained on the first can be made to do the second (arXiv 2406.13357).
"""

from __future__ import annotations

from collections.abc import Sequence

from stentor.sequence import spans
from stentor.sequence.spans import Span
from stentor.sequence.vocabulary import Vocabulary

CONTROLS = ("begin", "given", "answer", "end")


def vocabulary(text_size: int) -> Vocabulary:
    """Text ids 0..text_size-1, then the controls."""
    built = Vocabulary()
    built.add("text", text_size)
    built.add_controls(CONTROLS)
    return built


def prompt(vocabulary: Vocabulary, instruction: Sequence[int], source: Span) -> list[Span]:
    """What is asked and given, up to ``answer``; nothing of it carries a loss."""
    return [
        _control(vocabulary, "begin"),
        *_text(instruction, weight=0.0),
        _control(vocabulary, "given"),
        *([source] if source.length else []),
        _control(vocabulary, "answer"),
    ]


def example(vocabulary: Vocabulary, instruction: Sequence[int], source: Span, response: Sequence[int]) -> list[Span]:
    """The prompt and what must follow: the response and ``end``, which carry the loss."""
    asked = prompt(vocabulary, instruction, source)
    return [*asked, *_text(response, weight=1.0), _control(vocabulary, "end", weight=1.0)]


def running(vocabulary: Vocabulary, text: Sequence[int]) -> list[Span]:
    """Text without an instruction, all of which carries the loss."""
    return [_control(vocabulary, "begin"), *_text(text, weight=1.0), _control(vocabulary, "end", weight=1.0)]


def _control(vocabulary: Vocabulary, name: str, weight: float = 0.0) -> Span:
    return spans.control(vocabulary.control(name), weight=weight)


def _text(ids: Sequence[int], weight: float) -> list[Span]:
    return [spans.text(list(ids), weight=weight)] if ids else []
