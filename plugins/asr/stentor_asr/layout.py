"""Layouts of recognition: how an utterance and its transcript lie on the model's timeline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.sequence import spans
from stentor.sequence.packing import CONTINUOUS
from stentor.sequence.spans import Span
from stentor.sequence.vocabulary import Vocabulary

CONTROLS = ("listen", "transcribe", "end")


def vocabulary(text_size: int) -> Vocabulary:
    """Text ids 0..text_size-1, then the controls."""
    built = Vocabulary()
    built.add("text", text_size)
    built.add_controls(CONTROLS)
    return built


def prompt(vocabulary: Vocabulary, heard: int) -> list[Span]:
    """What is given: ``listen``, the audio, ``transcribe``."""
    return [
        spans.control(vocabulary.control("listen")),
        spans.heard(heard),
        spans.control(vocabulary.control("transcribe")),
    ]


def prompt_ids(vocabulary: Vocabulary, heard: int) -> Tensor:
    """The ids of `prompt`, int64 [heard + 2], with -1 for the audio."""
    return torch.tensor([vocabulary.control("listen"), *[CONTINUOUS] * heard, vocabulary.control("transcribe")])


def transcript(vocabulary: Vocabulary, heard: int, ids: Sequence[int]) -> list[Span]:
    """The prompt and what must follow: the transcript and ``end``, which carry the loss."""
    answer = [spans.text(list(ids))] if ids else []
    return [*prompt(vocabulary, heard), *answer, spans.control(vocabulary.control("end"), weight=1.0)]
