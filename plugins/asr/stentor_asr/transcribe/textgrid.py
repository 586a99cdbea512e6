"""Praat's TextGrid, in the long form: one tier of words, one of segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stentor_asr.transcribe.recogniser import Segment, Word


def textgrid(segments: Sequence[Segment], duration: float) -> str:
    """The file's content; what lies between is filled with empty intervals, as Praat wants it.

    Args:
        segments: in order, not overlapping.
        duration: of the audio (s).
    """
    end = max([duration, *(segment.end for segment in segments)])
    words = [word for segment in segments for word in segment.words]
    tiers = [("words", _intervals(words, end)), ("segments", _intervals(segments, end))]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_number(end)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {_number(end)}", f"        intervals: size = {len(intervals)}"]
        for place, (first, last, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {_number(first)}"]
            lines += [f"            xmax = {_number(last)}", f'            text = "{_quoted(text)}"']
    return "\n".join(lines) + "\n"


def _intervals(marked: Iterable[Segment | Word], end: float) -> list[tuple[float, float, str]]:
    return list(_filled(marked, round(end, 6))) or [(0.0, end, "")]


def _filled(marked: Iterable[Segment | Word], end: float) -> Iterator[tuple[float, float, str]]:
    at = 0.0
    for one in marked:
        first, last = round(one.start, 6), round(one.end, 6)
        if first > at:
            yield at, first, ""
        yield first, last, one.text
        at = last
    if end > at:
        yield at, end, ""


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return " ".join(text.split()).replace('"', '""')
