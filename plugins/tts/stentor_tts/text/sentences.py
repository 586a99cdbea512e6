"""Scripts to sentences: abbreviations, initials and decimals stay together, what is too long is cut at a breath."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from stentor.text.words import ABBREVIATIONS, MONTHS
from stentor_tts.text.script import Break, Script, Sentence, Stretch

PAUSES = {"sentence": 0.35, "paragraph": 0.7, "clause": 0.2, "none": 0.0}
"""Silence after each kind of end (s)."""
LONGEST = 300
"""Characters of a sentence; a longer one is cut at a clause, or else between words."""
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK})\]]*+\s++|[。！？]++\s*+"  # noqa: RUF001
)
"""Begins where such a run begins and takes all of it, so that a text is gone through once, whatever is in it."""
PARAGRAPH = re.compile(r"(?<!\s)[^\S\n]*+\n[^\S\n]*+\n\s*+")
"""White space with two ends of line or more in it, all of it."""
_BLANK = re.compile(r"[^\S\n]+")
_BREATHS = (
    (re.compile(r"[;:\N{EM DASH}]\s+"), PAUSES["clause"]),
    (re.compile(r",\s+"), PAUSES["clause"]),
    (re.compile(r"\s+"), PAUSES["none"]),
)
"""Where to cut a long sentence, best first, and the pause there (s)."""
_AHEAD = 4
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof", "gen", "gov", "capt", "lt", "sgt", "rev", "mt", "sen", "rep",
                     "st", "vs", "e.g", "i.e", "approx", "dept", "fig", "no", "vol"})  # fmt: skip
"""Abbreviations after which a sentence goes on, whatever comes."""
_SHORT = frozenset(ABBREVIATIONS) | {month.lower() for month in MONTHS} | {"a.m", "p.m"}
_LAST_WORD = re.compile(r"[\w.]+(?=[.…]+\W*$)")


def sentences(script: Script) -> Iterator[Sentence]:
    """The sentences of a script, in order.

    What has no letter or digit in it is left out, and its pause goes to the sentence before. Breaks that are written
    down add up, and take the place of usual pauses. Nothing follows the last sentence but a break that is written down.
    """
    held, told = Sentence(()), False
    for made, written in _all(script):
        if any(character.isalnum() for character in made.text):
            if held.stretches or held.pause:
                yield held
            held, told = made, written
        elif written:
            held, told = Sentence(held.stretches, made.pause + (held.pause if told else 0.0)), True
        elif not told and held.stretches:
            held = Sentence(held.stretches, max(held.pause, made.pause))
    if held.stretches or held.pause:
        yield held


def _all(script: Script) -> Iterator[tuple[Sentence, bool]]:
    """Sentences, empty ones too, and whether the pause after each is written down."""
    waiting: list[Stretch] = []
    for item in [*script, Break(0.0)]:
        if isinstance(item, Stretch):
            waiting.append(Stretch(_BLANK.sub(" ", item.text), item.manner))
            continue
        *made, last = _cut(waiting)
        yield from ((one, False) for one in made)
        usual = PAUSES["paragraph" if item.paragraph else "sentence"]
        yield Sentence(last.stretches, usual if item.seconds is None else item.seconds), item.seconds is not None
        waiting = []


def _cut(stretches: list[Stretch]) -> Iterator[Sentence]:
    """The sentences of stretches without breaks between them; the last one has no pause of its own."""
    text = "".join(stretch.text for stretch in stretches)
    places = list(accumulate((len(stretch.text) for stretch in stretches), initial=0))[:-1]
    begin = 0
    for end, pause in ends(text):
        yield Sentence(tuple(_slice(stretches, places, begin, end)), pause)
        begin = end
    yield Sentence(tuple(_slice(stretches, places, begin, len(text))), 0.0)


def _slice(stretches: Sequence[Stretch], places: Sequence[int], begin: int, end: int) -> Iterator[Stretch]:
    """What of the stretches, which begin at `places`, lies between two places."""
    for index in range(max(0, bisect_right(places, begin) - 1), bisect_left(places, end)):
        stretch, place = stretches[index], places[index]
        part = stretch.text[max(0, begin - place) : end - place]
        if part.strip():
            yield Stretch(" ".join(part.split()), stretch.manner)


def ends(text: str) -> Iterator[tuple[int, float]]:
    """Where each sentence of `text` but the last ends, and the pause after it (s)."""
    places = {found.end(): PAUSES["sentence"] for found in _END.finditer(text) if _is_end(text, found)}
    places |= {found.end(): PAUSES["paragraph"] for found in PARAGRAPH.finditer(text) if found.start()}
    begin = 0
    for end in [*sorted(places), len(text)]:
        yield from _breaths(text, begin, end)
        if end < len(text):
            yield end, places[end]
        begin = end


def _is_end(text: str, found: re.Match[str]) -> bool:
    following = text[found.end() : found.end() + _AHEAD].lstrip("\"'([\N{LEFT DOUBLE QUOTATION MARK}")[:1]
    if not following or not found[0].startswith((".", "…")):
        return bool(following)
    if following.islower():
        return False
    before = _LAST_WORD.search(text[max(0, found.start() - 20) : found.end()].rstrip())
    word = before[0].strip(".").lower() if before else ""
    initial = len(word) == 1 and word.isalpha() and before is not None and before[0][0].isupper()
    lettered = re.fullmatch(r"([a-z]\.)+[a-z]", word) and word not in _SHORT  # U.S.
    if word in _TITLES or (initial and word != "i") or lettered:
        return False
    return word not in _SHORT or following.isupper()


def _breaths(text: str, begin: int, end: int) -> Iterator[tuple[int, float]]:
    """Where to cut what is longer than `LONGEST`."""
    while end - begin > LONGEST:
        window = text[begin : begin + LONGEST]
        cuts = ((max((one.end() for one in kind.finditer(window)), default=0), pause) for kind, pause in _BREATHS)
        length, pause = next((cut for cut in cuts if cut[0] > LONGEST // 4), (LONGEST, PAUSES["none"]))
        begin += length
        yield begin, pause
