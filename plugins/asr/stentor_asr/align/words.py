"""Words with their times: in order, inside their segment, never overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stentor_asr.transcribe.recogniser import Segment, Word

SHORTEST = 0.02
"""No word is shorter (s), unless its segment has not that much room for each of its words."""


def fit(words: Sequence[Word], start: float, end: float) -> tuple[Word, ...]:
    """The words moved as little as need be to lie between `start` and `end` (s), one after the other."""
    if not words:
        return ()
    least = min(SHORTEST, (end - start) / len(words))
    starts, ends, free = [0.0] * len(words), [0.0] * len(words), start
    for index, word in enumerate(words):
        starts[index] = max(word.start, free)
        ends[index] = free = max(word.end, starts[index] + least)
    free = end
    for index in range(len(words) - 1, -1, -1):
        ends[index] = min(ends[index], free)
        starts[index] = free = max(start + index * least, min(starts[index], ends[index] - least))
    return tuple(replace(word, start=a, end=b) for word, a, b in zip(words, starts, ends, strict=True))


def around(segment: Segment) -> Segment:
    """The segment with the times of its words, which know better than it where speech begins and ends."""
    if not segment.words:
        return segment
    return replace(segment, start=segment.words[0].start, end=segment.words[-1].end)


def places(words: Sequence[Word], text: str) -> list[tuple[int, int]]:
    """Where each word stands in `text`, however the text writes them together: first character and the one behind."""
    found, at = [], 0
    for word in words:
        begin = text.find(word.text, at)
        begin = at if begin < 0 else begin
        at = min(len(text), begin + len(word.text))
        found.append((begin, at))
    return found
