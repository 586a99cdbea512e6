"""From tokens to words with times and confidences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stentor.interfaces.decoder import Hypothesis
from stentor_asr.decoders.pieces import SPACE, Pieces
from stentor_asr.transcribe.recogniser import Word

Token = tuple[bytes, float, float, float | None]
"""Spelling, start and end (s), probability."""


def spoken(pieces: Pieces, reading: Hypothesis, frame_rate: float) -> list[Word]:
    """The words of a reading; none where it has no path through the frames.

    Args:
        pieces: that spell its ids.
        reading: of a decoder.
        frame_rate: of its frames (Hz).
    """
    places = zip(reading.ids, reading.frames, reading.confidence, strict=False)
    return joined([(pieces.spelled[i], first / frame_rate, end / frame_rate, sure) for i, (first, end), sure in places])


def joined(tokens: Sequence[Token]) -> list[Word]:
    """Tokens grouped at spaces; a word is as sure as the geometric mean of its tokens."""
    groups: list[list[Token]] = [[]]
    for spelled, start, end, sure in tokens:
        for number, part in enumerate(spelled.split(SPACE)):
            if number:
                groups.append([])
            if part:
                groups[-1].append((part, start, end, sure))
    return [_word(group) for group in groups if group]


def spelled(text: str, tokens: Sequence[tuple[str, float, float]]) -> list[Word]:
    """The words of a text whose tokens were timed one by one, and may have lost the spaces around them.

    A token belongs to the word that its first character falls into; none where the tokens do not spell the text.

    Args:
        text: what they spell.
        tokens: text, start and end (s) of each.
    """
    bare = ["".join(token.split()) for token, _, _ in tokens]
    if "".join(bare) != "".join(text.split()):
        return []
    starts = [sum(map(len, bare[:index])) for index in range(len(bare))]
    found, at = [], 0
    for word in text.split():
        own = [token for token, start, letters in zip(tokens, starts, bare, strict=True)
               if letters and at <= start < at + len(word)]  # fmt: skip
        if own:
            found.append(Word(own[0][1], own[-1][2], word))
        at += len(word)
    return found


def _word(group: Sequence[Token]) -> Word:
    text = b"".join(spelled for spelled, *_ in group).decode(errors="replace")
    known = [sure for *_, sure in group if sure is not None]
    sure = mean_confidence(known) if len(known) == len(group) else None
    return Word(group[0][1], group[-1][2], text, sure)


def mean_confidence(probabilities: Sequence[float]) -> float | None:
    """The geometric mean; None of none."""
    if not probabilities:
        return None
    return math.exp(sum(math.log(max(one, 1e-38)) for one in probabilities) / len(probabilities))
