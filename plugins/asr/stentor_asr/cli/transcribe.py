"""``stentor transcribe FILE... [--run RUN | --model NAME]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError
from stentor_asr.cli import stream

if TYPE_CHECKING:
    from stentor_asr.transcribe.pipeline import Transcript
    from stentor_asr.transcribe.recogniser import Recogniser, Request

FORMATS = ("text", "json", "srt", "vtt", "tsv", "textgrid", "ctm")
_TIMED, _OF_WORDS = ("srt", "vtt", "tsv", "textgrid", "ctm"), ("ctm",)
DEFAULT = "openai/whisper-tiny.en"
_LONG = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="audio files, and folders of them")
    who = parser.add_mutually_exclusive_group()
    models = f"a recogniser of 'stentor list recogniser', or Whisper weights (default {DEFAULT})"
    who.add_argument("--model", default=DEFAULT, metavar="NAME", help=models)
    who.add_argument("--run", type=Path, help="the folder of a trained run")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text, one line per segment")
    parser.add_argument("-o", "--output", type=Path, help="a file, or a folder for several; default: standard output")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--resume", action="store_true", help="leave out files whose transcript is there already")
    there.add_argument("--force", action="store_true", help="write over transcripts that are there already")
    parser.add_argument("--timestamps", choices=("none", "segment", "word"), help="default: segment; ctm needs word")
    marked = "webvtt tells inside its cues when each word begins; implies --timestamps word"
    parser.add_argument("--mark-words", action="store_true", help=marked)
    parser.add_argument("--language", help="what is spoken, e.g. en (default: a multilingual model finds out)")
    parser.add_argument("--beam", type=int, help="width of the search (default: the recogniser's own)")
    hotwords = "phrases to listen for, with boosts where wanted: 'acme, new york:4.0', or a file of them"
    parser.add_argument("--hotwords", metavar="FILE|WORDS", help=hotwords)
    swapped = "of the run's decoder, as often as needed: decoder=ctc-beam, decoder.lm=words.arpa"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=swapped)
    itn = (
        "write numbers, dates and the like as one would: plain, or nemo (extra text of stentor); see 'stentor list itn'"
    )
    parser.add_argument("--itn", metavar="NAME", help=itn)
    parser.add_argument("--batch", type=int, default=8, help="windows of 30 s at a time (default 8)")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")
    stream.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from stentor_asr.transcribe import places

    if arguments.batch < 1:
        raise StentorError("must be at least 1.", path="--batch", value=arguments.batch)
    request, write = _request(arguments), _writer(arguments)
    if arguments.stream:
        stream.check(arguments)
        recogniser = _recogniser(arguments)
        recogniser.load_pretrained()
        return stream.run(arguments, recogniser, request)
    if not arguments.files:
        raise StentorError("name audio files, or --stream for the microphone.", path="FILE")
    files = places.found(arguments.files)
    work = list(zip([path for path, _ in files], _targets(arguments, files), strict=True))
    if arguments.resume:
        work = [(path, target) for path, target in work if not target or not target.exists()]
    if not work:
        print("stentor: every transcript is there already", file=sys.stderr)
        return 0
    recogniser = _recogniser(arguments)
    about = _about(arguments, recogniser.load_pretrained())
    recogniser.refuse(request)
    failed = 0
    transcripts = _transcripts([path for path, _ in work], recogniser, request, arguments)
    for (_, target), transcript in zip(work, transcripts, strict=True):
        failed += transcript.failure is not None
        transcript.segments = [replace(segment, text=write(segment.text)) for segment in transcript.segments]
        _tell(transcript)
        if transcript.failure is None or transcript.segments:
            _write(arguments, transcript, target, about, alone=len(work) == 1)
    return 1 if failed else 0


def _request(arguments: argparse.Namespace) -> Request:
    from stentor_asr.transcribe import hotwords
    from stentor_asr.transcribe.recogniser import Request

    form, asked = arguments.format, arguments.timestamps
    if asked == "none" and form in _TIMED:
        raise StentorError(f"'{form}' tells times; with --timestamps none there are only text and json.",
                           path="--timestamps", value=asked)  # fmt: skip
    if arguments.mark_words and form != "vtt":
        raise StentorError(f"only vtt can mark words inside its cues, not {form}.", path="--mark-words")
    of_words = form in _OF_WORDS or arguments.mark_words
    if of_words and asked == "segment":
        raise StentorError("marks words, and needs their times: --timestamps word.",
                           path="--mark-words" if arguments.mark_words else "--format", value=form)  # fmt: skip
    if arguments.beam is not None and arguments.beam < 1:
        raise StentorError("must be at least 1.", path="--beam", value=arguments.beam)
    return Request(
        language=arguments.language,
        words=of_words or asked == "word",
        beam=arguments.beam,
        hotwords=hotwords.read(arguments.hotwords) if arguments.hotwords is not None else {},
    )


def _writer(arguments: argparse.Namespace) -> Callable[[str], str]:
    """What turns the words of a segment into written form."""
    from stentor.plugins import registry

    if arguments.itn is None:
        return str
    if arguments.stream:
        raise StentorError("live transcripts are given as they are spoken.", path="--itn", value=arguments.itn)
    if _request(arguments).words:
        raise StentorError("words are told as they are spoken; give either --itn or word times.", path="--itn",
                           value=arguments.itn)  # fmt: skip
    written: Callable[[str], str] = registry().build("itn", arguments.itn)
    return written


def _targets(arguments: argparse.Namespace, files: Sequence[tuple[Path, Path]]) -> Sequence[Path | None]:
    from stentor_asr.transcribe import outputs, places

    if arguments.output is None:
        if arguments.resume:
            raise StentorError("--resume needs --output, to see which transcripts are there.", path="--resume")
        if len(files) > 1 and arguments.format in _TIMED:
            raise StentorError(f"several files cannot share one {arguments.format} on standard output; "
                               "give a folder with -o.", path="--output")  # fmt: skip
        return [None] * len(files)
    alone = len(files) == 1 and not any(path.is_dir() for path in arguments.files)
    targets = places.targets(files, arguments.output, outputs.SUFFIXES[arguments.format], one_file=alone)
    places.check_free(targets, [path for path, _ in files], overwrite=arguments.force or arguments.resume)
    return targets


def _recogniser(arguments: argparse.Namespace) -> Recogniser:
    from stentor_asr.transcribe.choice import choose

    return choose(arguments.run, arguments.model, device=arguments.device, changes=arguments.set)


def _about(arguments: argparse.Namespace, provenance: dict[str, str]) -> dict[str, Any]:
    from importlib.metadata import version

    versions = {name: version(name) for name in ("stentor", "stentor-asr", "torch", "transformers")}
    return {"model": str(arguments.run or arguments.model), "weights": provenance, "versions": versions}


def _transcripts(
    paths: list[Path], recogniser: Recogniser, request: Request, arguments: argparse.Namespace
) -> Iterator[Transcript]:
    from tqdm import tqdm

    from stentor_asr.transcribe.pipeline import transcribe

    vad = stream.detector(arguments.vad)
    total = sum(map(_duration, paths))
    terminal = sys.stderr.isatty()
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    hidden, pause = not terminal and total < _LONG, 0.2 if terminal else 30.0
    with tqdm(total=round(total), desc="audio", disable=hidden, mininterval=pause, bar_format=form) as bar:
        yield from transcribe(paths, recogniser, arguments.batch, bar.update, request, vad=vad)


def _duration(path: Path) -> float:
    from stentor.data import audio

    try:
        return audio.info(path).duration
    except StentorError:  # reported when its turn comes
        return 0.0


def _tell(transcript: Transcript) -> None:
    for warning in transcript.warnings:
        print(f"stentor: {transcript.path}: {warning}", file=sys.stderr)
    if transcript.failure is not None:
        print(f"stentor: {transcript.path}: {transcript.failure}", file=sys.stderr)


def _write(
    arguments: argparse.Namespace, transcript: Transcript, target: Path | None, about: dict[str, Any], *, alone: bool
) -> None:
    from stentor.data.atomic import replacing
    from stentor_asr.transcribe import outputs

    content = outputs.render(
        arguments.format,
        transcript,
        about,
        marked=arguments.mark_words,
        timed=arguments.timestamps != "none",
    )
    if target is not None:
        with replacing(target) as temporary:
            temporary.write_text(content, encoding="utf-8")
    elif alone or arguments.format == "json":
        print(content, end="", flush=True)
    else:
        print(f"{transcript.path}:\n{content}", flush=True)
