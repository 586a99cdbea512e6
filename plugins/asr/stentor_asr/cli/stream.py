"""``stentor transcribe --stream [-]``: transcripts while somebody speaks, from a pipe or the microphone."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor_asr.streaming.events import Event
    from stentor_asr.transcribe.recogniser import Recogniser, Request

FORMATS = ("text", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stream", action="store_true", help="transcribe live: '-' reads WAV or raw 16 bit mono PCM "
                        "from standard input; without a file, the microphone")  # fmt: skip
    parser.add_argument("--vad", metavar="NAME", help="a detector of 'stentor list vad': hear the stretches of speech "
                        "alone (default with --stream: energy)")  # fmt: skip
    parser.add_argument("--pause", type=float, default=0.6, help="--stream: silence that ends an utterance (s; 0.6)")
    parser.add_argument("--interval", type=float, default=1.0, help="--stream: audio between partial texts of a "
                        "recogniser that does not go frame by frame (s; 1.0)")  # fmt: skip
    parser.add_argument("--rate", type=int, default=16_000, help="--stream: sample rate of raw PCM (Hz; 16000)")


def detector(name: str | None) -> Any:
    """The detector of that name with its weights, or None without a name."""
    from stentor.plugins import registry

    if name is None:
        return None
    built = registry().build("vad", registry().get("vad", name, path="--vad").name)
    built.load_pretrained()
    return built


def run(arguments: argparse.Namespace, recogniser: Recogniser, request: Request) -> int:
    """Transcribe the stream with `recogniser`, its weights loaded, until it ends or the user interrupts."""
    from stentor.vad.endpoint import EndpointSettings
    from stentor_asr.streaming.choice import listener
    from stentor_asr.streaming.session import StreamingRecogniser

    understands = listener(recogniser, request, arguments.interval)
    rules = EndpointSettings(min_silence=arguments.pause, padding=min(0.3, arguments.pause / 2),
                             longest=understands.longest)  # fmt: skip
    streaming = StreamingRecogniser(understands, detector(arguments.vad or "energy"), rules)
    stream, show = streaming.start(), Display(sys.stdout, arguments.format)
    try:
        for block in _blocks(arguments, understands.sample_rate):
            show(streaming.feed(stream, block))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    show(streaming.flush(stream))
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse arguments that mean nothing with ``--stream``."""
    named = [str(path) for path in arguments.files]
    if named not in ([], ["-"]):
        raise StentorError("--stream reads '-', standard input, or without a file the microphone; files are "
                           "transcribed without it.", path="FILE", value=named[0])  # fmt: skip
    if arguments.format not in FORMATS:
        raise StentorError("a stream is written as text or json.", path="--format", value=arguments.format)
    for name in ("output", "resume", "force"):
        if getattr(arguments, name):
            raise StentorError("a stream goes to standard output.", path=f"--{name}")
    for name, most in (("pause", 5.0), ("interval", 60.0)):
        seconds = getattr(arguments, name)
        if not 0 < seconds <= most:
            raise StentorError(f"must be more than 0 and at most {most:g} s.", path=f"--{name}", value=seconds)
    if not 2_000 <= arguments.rate <= 768_000:
        raise StentorError("a sample rate lies between 2000 and 768000 Hz.", path="--rate", value=arguments.rate)


def _blocks(arguments: argparse.Namespace, sample_rate: int) -> Iterator[Any]:
    from stentor_asr.streaming import sources

    if arguments.files:
        return sources.pipe(sys.stdin.buffer, sample_rate, arguments.rate)
    return sources.microphone(sample_rate)


class Display:
    """Writes events: JSON lines, or finals as lines of text; a terminal shows the partial text on its last line.

    Args:
        out: where to.
        form: ``text`` or ``json``.
    """

    def __init__(self, out: IO[str], form: str) -> None:
        self.out, self.form = out, form
        self.live = form == "text" and out.isatty()

    def __call__(self, events: list[Event]) -> None:
        for event in events:
            line = _json(event) if self.form == "json" else self._text(event)
            self.out.write(line)
        if events:
            self.out.flush()

    def _text(self, event: Event) -> str:
        from stentor_asr.streaming.events import Final

        erase = "\r\x1b[K" if self.live else ""
        if isinstance(event, Final):
            return f"{erase}{event.text}\n" if event.text else erase
        return erase + event.text[-(shutil.get_terminal_size().columns - 1) :] if self.live else ""


def _json(event: Event) -> str:
    from stentor_asr.streaming.events import Final

    told: dict[str, Any] = {"event": "partial", "text": event.text, "start": round(event.start, 3),
                            "end": round(event.end, 3)}  # fmt: skip
    if isinstance(event, Final):
        words = [{"text": word.text, "start": round(word.start, 3), "end": round(word.end, 3)} for word in event.words]
        told |= {"event": "final", "reason": event.reason} | ({"words": words} if words else {})
    return json.dumps(told, ensure_ascii=False) + "\n"
