"""The codes of several utterances as a run says them, side by side, each as soon as it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from stentor.decode.engine import stream
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.codec import Codes
from stentor_tts.lm.request import Request
from stentor_tts.lm.sampling import Sampling
from stentor_tts.lm.speaking import Speech


def streams(
    speech: Speech, backbone: Backbone, requests: Sequence[Request], sampling: Sampling
) -> Iterator[tuple[int, Codes, bool]]:
    """Rows, their next whole groups of codes, and whether these are the row's last; nothing of a row that says nothing.

    A row says what it says alone.

    Args:
        speech: of the task.
        backbone: of the task.
        requests: one for each row.
        sampling: how codes are drawn.

    Raises:
        StentorError: for a request without a word that the tokenizer can spell.
    """
    plans = [speech.plan(request) for request in requests]
    device = next(backbone.parameters()).device
    longest = max(plan.most for plan in plans)
    settings = sampling.settings(longest, (speech.end,), tuple(plan.seed for plan in plans))
    prompts, grammars = [plan.prompt.to(device) for plan in plans], [plan.grammar for plan in plans]
    rows = [_Row(speech) for _ in plans]
    for row, token in stream(backbone, prompts, settings, grammar=grammars):
        yield from ((row, codes, False) for codes in rows[row].take(token))
        if token == speech.end:
            yield from ((row, codes, True) for codes in rows[row].rest())
    for number, one in enumerate(rows):
        yield from ((number, codes, True) for codes in one.rest())


class _Row:
    """Collects the tokens of one row to groups; the last group is held back, as it could be the last of all."""

    def __init__(self, speech: Speech) -> None:
        self._speech, self._ids, self._done = speech, list[int](), 0
        self._held: Codes | None = None

    def take(self, token: int) -> Iterator[Codes]:
        """What the next token settles."""
        speech, group = self._speech, self._speech.codec.group
        self._ids += [token] * (token in speech.codes)
        if token not in speech.codes or len(self._ids) % group:
            return
        codes = speech.arrangement.unpack(torch.tensor(self._ids))
        first, self._done = self._done, len(codes[0]) // speech.codec.pattern[0]
        if self._done > first:
            if self._held is not None:
                yield self._held
            self._held = tuple(book[first * n :] for book, n in zip(codes, speech.codec.pattern, strict=True))

    def rest(self) -> Iterator[Codes]:
        """What was held back; the row is over."""
        if self._held is not None:
            yield self._held
        self._held = None
