"""Transcripts as text, JSON, SRT, WebVTT and tab-separated values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Segment


def render(form: str, transcript: Transcript, about: Mapping[str, Any]) -> str:
    """The whole content of the output file.

    Args:
        form: one of `FORMATS`.
        transcript: what was said.
        about: what JSON tells of the model: ``model``, ``weights``, ``versions``.
    """
    return FORMATS[form](transcript, about)


def _text(transcript: Transcript, about: Mapping[str, Any]) -> str:
    return "".join(f"{_one_line(segment.text)}\n" for segment in transcript.segments)


def _json(transcript: Transcript, about: Mapping[str, Any]) -> str:
    content = {
        "file": str(transcript.path),
        "duration": round(transcript.duration, 3),
        "language": transcript.language,
        "text": transcript.text,
        "segments": [_plain(segment) for segment in transcript.segments],
        **about,
        "warnings": transcript.warnings,
        "failure": transcript.failure,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _plain(segment: Segment) -> dict[str, Any]:
    confidence = None if segment.confidence is None else round(segment.confidence, 4)
    times = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
    return {**times, "text": segment.text, "confidence": confidence}


def _srt(transcript: Transcript, about: Mapping[str, Any]) -> str:
    cues = [
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_cue(segment.text)}\n\n"
        for number, segment in enumerate(transcript.segments, 1)
    ]
    return "".join(cues)


def _vtt(transcript: Transcript, about: Mapping[str, Any]) -> str:
    cues = [
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{_escaped(_cue(segment.text))}\n\n"
        for segment in transcript.segments
    ]
    return "WEBVTT\n\n" + "".join(cues)


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
}
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt", "tsv": ".tsv"}
