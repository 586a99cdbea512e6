"""A transcript in the formats of OpenAI's interface, and as server-sent events."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from stentor_asr.serve.form import Asked
from stentor_asr.transcribe import outputs
from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Segment

UNDETERMINED = "und"
"""The language where nobody told it (ISO 639-3)."""


def answer(transcript: Transcript, asked: Asked) -> Response:
    """The whole answer, in the format that was asked for."""
    if asked.form == "json":
        return JSONResponse({"text": transcript.text, "usage": _usage(transcript)})
    if asked.form == "verbose_json":
        return JSONResponse(_verbose(transcript, asked))
    if asked.form == "text":
        return PlainTextResponse(transcript.text + "\n")
    media = {"srt": "application/x-subrip", "vtt": "text/vtt"}[asked.form]
    return Response(outputs.render(asked.form, transcript, {}), media_type=f"{media}; charset=utf-8")


def delta(text: str) -> bytes:
    """The event that more text has been found."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done(transcript: Transcript) -> bytes:
    """The event that there will be no more, with the whole text: that of all deltas joined."""
    return _event({"type": "transcript.text.done", "text": transcript.text})


def failed(body: dict[str, Any]) -> bytes:
    """The event that something went wrong after the beginning."""
    return _event(body)


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def _verbose(transcript: Transcript, asked: Asked) -> dict[str, Any]:
    content: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language or asked.request.language or UNDETERMINED,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "usage": _usage(transcript),
    }
    if "segment" in asked.granularities:
        content["segments"] = [_segment(number, one) for number, one in enumerate(transcript.segments)]
    if "word" in asked.granularities:
        content["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in transcript.segments
            for word in segment.words
        ]
    return content


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """All that clients' types declare; where it is not known how likely a text is, or that nobody spoke, it is 0."""
    text = segment.text.encode()
    return {
        "id": number,
        "seek": 0,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(math.log(segment.confidence or 1.0), 4),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0,
    }
