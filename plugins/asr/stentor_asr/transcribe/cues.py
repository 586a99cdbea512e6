"""Subtitle cues that can be read: segments cut at good places, where the times of their words are known."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from stentor_asr.align.words import places
from stentor_asr.transcribe.recogniser import Segment, Word

LINE, LINES = 42, 2
"""Characters of a line and lines of a cue, as broadcasters and streaming services ask for."""
LONGEST = 7.0
"""Seconds that a cue stays at most."""
_BREATH, _HURRIED = 0.3, 1.0
_AFTER_SENTENCE, _AFTER_CLAUSE, _AFTER_BREATH, _ELSEWHERE, _TOO_SHORT = 0.0, 0.6, 0.8, 2.0, 1.0


def cues(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The segments, those in pieces whose words are known and that are too long for a cue."""
    for segment in segments:
        if len(segment.words) < 2 or _fits(segment.text, segment.start, segment.end):
            yield segment
            continue
        spots = places(segment.words, segment.text)
        for begin, end in _pieces(segment, spots):
            words = segment.words[begin:end]
            text = segment.text[spots[begin][0] : spots[end - 1][1]]
            yield replace(segment, start=words[0].start, end=words[-1].end, text=text, words=words)


def lines(text: str) -> list[str]:
    """The text in lines of at most 42 characters (a longer word stays whole), none much shorter than the others."""
    found = _wrapped(text, LINE)
    if len(found) == 1:
        return found
    widths = range(len(text) // len(found), LINE)
    return _wrapped(text, next((width for width in widths if len(_wrapped(text, width)) <= len(found)), LINE))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width), break_long_words=False, break_on_hyphens=False) or [""]


def _fits(text: str, start: float, end: float) -> bool:
    if end - start > LONGEST or len(text) > LINE * LINES + 1:
        return False
    wrapped = _wrapped(text, LINE)
    return len(wrapped) <= LINES and max(map(len, wrapped)) <= LINE


def _pieces(segment: Segment, spots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The cheapest way to cut the words: few cues, none hurried, cut after sentences, clauses and breaths."""
    words, count = segment.words, len(segment.words)
    best, came = [0.0] + [float("inf")] * count, [0] * (count + 1)
    for end in range(1, count + 1):
        cut = _cost(words, end)
        for begin in range(end - 1, -1, -1):
            text = segment.text[spots[begin][0] : spots[end - 1][1]]
            start, stop = words[begin].start, words[end - 1].end
            if begin < end - 1 and not _fits(text, start, stop):
                break
            cost = best[begin] + 1.0 + cut + (_TOO_SHORT if stop - start < _HURRIED else 0.0)
            if cost < best[end]:
                best[end], came[end] = cost, begin
    pieces, end = [], count
    while end:
        pieces.append((came[end], end))
        end = came[end]
    return pieces[::-1]


def _cost(words: Sequence[Word], end: int) -> float:
    """Of a cut before word `end`."""
    if end == len(words):
        return 0.0
    last = words[end - 1].text.rstrip("\"')]\N{RIGHT DOUBLE QUOTATION MARK}")
    if last.endswith((".", "!", "?", "\N{HORIZONTAL ELLIPSIS}", "\N{IDEOGRAPHIC FULL STOP}")):
        return _AFTER_SENTENCE
    if last.endswith((",", ";", ":", "\N{EM DASH}", "\N{IDEOGRAPHIC COMMA}")):
        return _AFTER_CLAUSE
    return _AFTER_BREATH if words[end].start - words[end - 1].end >= _BREATH else _ELSEWHERE
