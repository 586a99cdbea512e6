"""Transcripts as text, JSON, SRT, WebVTT, TextGrid, CTM and tab-separated values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from stentor_asr.align.words import places
from stentor_asr.transcribe.cues import cues, lines
from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Segment, Word
from stentor_asr.transcribe.textgrid import textgrid


def render(
    form: str, transcript: Transcript, about: Mapping[str, Any], *, marked: bool = False, timed: bool = True
) -> str:
    """The whole content of the output file.

    Args:
        form: one of `FORMATS`.
        transcript: what was said.
        about: what JSON tells of the model: ``model``, ``weights``, ``versions``; and ``item``, what the audio is
            called where that is not its file's name.
        marked: WebVTT tells inside its cues when each word begins, where the words are known.
        timed: JSON has the segments with their times.
    """
    if form == "vtt":
        return _vtt(transcript, about, marked=marked)
    if form == "json":
        return _json(transcript, about, timed=timed)
    return FORMATS[form](transcript, about)


def _text(transcript: Transcript, about: Mapping[str, Any]) -> str:
    return "".join(f"{_one_line(segment.text)}\n" for segment in transcript.segments)


def _json(transcript: Transcript, about: Mapping[str, Any], *, timed: bool = True) -> str:
    content = {
        "file": str(transcript.path),
        "duration": round(transcript.duration, 3),
        "language": transcript.language,
        "text": transcript.text,
        **({"segments": [_plain(segment) for segment in transcript.segments]} if timed else {}),
        **about,
        "warnings": transcript.warnings,
        "failure": transcript.failure,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _plain(segment: Segment) -> dict[str, Any]:
    words = {"words": [_timed(word) for word in segment.words]} if segment.words else {}
    return {**_timed(segment), **words}


def _timed(one: Segment | Word) -> dict[str, Any]:
    confidence = None if one.confidence is None else round(one.confidence, 4)
    return {"start": round(one.start, 3), "end": round(one.end, 3), "text": one.text, "confidence": confidence}


def _srt(transcript: Transcript, about: Mapping[str, Any]) -> str:
    told = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_shown(cue)}\n\n"
        for number, cue in enumerate(cues(transcript.segments), 1)
    ]
    return "".join(told)


def _vtt(transcript: Transcript, about: Mapping[str, Any], *, marked: bool = False) -> str:
    told = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_marked(cue) if marked else _escaped(_shown(cue))}\n\n"
        for cue in cues(transcript.segments)
    ]
    return "WEBVTT\n\n" + "".join(told)


def _shown(cue: Segment) -> str:
    """One line, or balanced lines where the cue could be cut to size."""
    text = _cue(cue.text)
    return "\n".join(lines(text)) if cue.words else text


def _marked(cue: Segment) -> str:
    """``one <00:00:01.250><c>two</c>``: what begins with the cue needs no time of its own, and may not have one."""
    text, at, told = _one_line(cue.text), 0, []
    for word, (begin, end) in zip(cue.words, places(cue.words, text), strict=True):
        clock = _clock(word.start, ".")
        time = f"<{clock}>" if clock > _clock(cue.start, ".") else ""
        told.append(f"{_escaped(text[at:begin])}{time}<c>{_escaped(text[begin:end])}</c>")
        at = end
    return ("".join(told) + _escaped(text[at:])).replace("--&gt;", "-&gt;")


def _textgrid(transcript: Transcript, about: Mapping[str, Any]) -> str:
    return textgrid(transcript.segments, transcript.duration)


def _ctm(transcript: Transcript, about: Mapping[str, Any]) -> str:
    """NIST's time-marked conversation: file, channel, start, duration, word, confidence."""
    name = "_".join(str(about.get("item", transcript.path.stem)).split())
    rows = []
    for word in (word for segment in transcript.segments for word in segment.words):
        sure = "" if word.confidence is None else f" {word.confidence:.4f}"
        start, end = round(word.start, 3), round(word.end, 3)
        rows.append(f"{name} 1 {start:.3f} {max(end - start, 0.001):.3f} {''.join(word.text.split())}{sure}\n")
    return "".join(rows)


def _tsv(transcript: Transcript, about: Mapping[str, Any]) -> str:
    """Times in milliseconds."""
    rows = [
        f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{_one_line(segment.text)}\n"
        for segment in transcript.segments
    ]
    return "start\tend\ttext\n" + "".join(rows)


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cue(text: str) -> str:
    return _one_line(text).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMATS: dict[str, Callable[[Transcript, Mapping[str, Any]], str]] = {
    "text": _text,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "textgrid": _textgrid,
    "ctm": _ctm,
}
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt", "tsv": ".tsv", "textgrid": ".TextGrid",
            "ctm": ".ctm"}  # fmt: skip
