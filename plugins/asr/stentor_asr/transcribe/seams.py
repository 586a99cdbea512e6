"""Joins what was heard in two windows that overlap, so that no word at the seam is doubled or lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stentor_asr.transcribe.recogniser import Segment
from stentor_asr.transcribe.windows import OVERLAP

_WORDS_PER_SECOND, _SPARE_WORDS = 5, 3
_APART = 1.5
"""How far two hearings of a single word may lie apart in time (s) to be taken for one; their times are estimates."""


@dataclass(frozen=True)
class _Spoken:
    """A word with its (estimated) time (s): where it stands, and in what form it is compared."""

    segment: int
    text: str
    start: float
    end: float

    @property
    def form(self) -> str:
        plain = "".join(sign for sign in self.text.lower() if sign.isalnum())
        return plain or self.text

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def stitched(left: Sequence[Segment], right: Sequence[Segment], begin: float, end: float) -> list[Segment]:
    """The segments of both windows, every word once.

    The longest run of words that both heard around the overlap is the seam: what the left one heard after it and the
    right one before it are the ends of words that were cut. Where they heard nothing alike, the middle of the overlap
    is the seam.

    Args:
        left: heard in the first window, times in the file.
        right: heard in the second.
        begin: of the overlap (s).
        end: of the overlap (s).
    """
    before, after = _words(left), _words(right)
    most = _most(end - begin)
    late, early = before[-most:], after[:most]
    seam = _common_run(late, early)
    if seam is None:
        middle = (begin + end) / 2
        keep_left = sum(word.middle < middle for word in late) if _any_in(early, begin, end) else len(late)
        skip_right = sum(word.middle < middle for word in early) if _any_in(late, begin, end) else 0
    else:
        keep_left, skip_right = seam
    kept = before[: len(before) - len(late) + keep_left]
    return [*_rebuilt(left, kept), *_rebuilt(right, after[skip_right:])]


def settled(segments: Sequence[Segment], overlap: float = OVERLAP) -> int:
    """How many of the segments lie so far back that no seam with a window to come can change them."""
    words, most = 0, _most(overlap)
    for count in range(len(segments), 0, -1):
        words += len(segments[count - 1].text.split())
        if words >= most:
            return count - 1
    return 0


def _most(seconds: float) -> int:
    """Words that an overlap of so many seconds may hold, and some more."""
    return math.ceil(seconds * _WORDS_PER_SECOND) + _SPARE_WORDS


def _common_run(late: Sequence[_Spoken], early: Sequence[_Spoken]) -> tuple[int, int] | None:
    """How many of `late` end with the run, and how many of `early` do; None when nothing is alike."""
    best: tuple[int, float, int, int] | None = None
    runs: dict[tuple[int, int], int] = {}
    for i, one in enumerate(late):
        for j, other in enumerate(early):
            if one.form != other.form:
                continue
            length = runs[i, j] = runs.get((i - 1, j - 1), 0) + 1
            apart = abs(one.middle - other.middle)
            if length == 1 and apart > _APART:
                continue
            if best is None or (length, -apart) > best[:2]:
                best = (length, -apart, i + 1, j + 1)
    return None if best is None else best[2:]


def _any_in(words: Sequence[_Spoken], begin: float, end: float) -> bool:
    return any(begin <= word.middle < end for word in words)


def _words(segments: Sequence[Segment]) -> list[_Spoken]:
    """The words of all segments; where times are not known, a segment's time is shared out by letters."""
    found = []
    for index, segment in enumerate(segments):
        if segment.words:
            found += [_Spoken(index, word.text.strip(), word.start, word.end) for word in segment.words]
            continue
        at, pace = segment.start, (segment.end - segment.start) / max(1, len(segment.text))
        for text in segment.text.split():
            found.append(_Spoken(index, text, at, at + pace * len(text)))
            at += pace * (len(text) + 1)
    return found


def _rebuilt(segments: Sequence[Segment], words: Sequence[_Spoken]) -> list[Segment]:
    """Segments with these of their words alone; one that lost none is as it was."""
    found = []
    for index, segment in enumerate(segments):
        kept = [word for word in words if word.segment == index]
        if len(kept) == len(segment.words or segment.text.split()):
            found.append(segment)
        elif kept:
            timed = tuple(word for word in segment.words if kept[0].start <= word.start <= kept[-1].start)
            text = " ".join(word.text for word in kept)
            found.append(replace(segment, start=kept[0].start, end=kept[-1].end, text=text, words=timed))
    return found
