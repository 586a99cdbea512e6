"""``stentor speak TEXT -o FILE [--run RUN | --engine NAME]``: text to speech."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor_tts.speaking.synthesiser import Speech, Synthesiser

FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "pcm")
_STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "what to say: plain text or SSML; '-' reads standard input"
    parser.add_argument("text", nargs="?", help=text)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--run", type=Path, help="the folder of a run that speaks, or of an export")
    engines = "a voice of 'stentor list voice', such as espeak:en-us+f2 (default hibari)"
    who.add_argument("--engine", default="", metavar="NAME", help=engines)
    parser.add_argument("-o", "--output", help="wav, flac, mp3, ogg or opus by its ending; '-' is standard output")
    parser.add_argument("--format", choices=FORMATS, help="of standard output (default wav); pcm is 16 bit, mono")
    parser.add_argument("--stream", action="store_true", help="to standard output as it is made")
    parser.add_argument("--force", action="store_true", help="write over a file that is there already")
    voice = "whom to sound like: a recording of 3 to 10 s, or the name of a voice that the run knows"
    parser.add_argument("--voice", metavar="FILE|NAME", help=voice)
    parser.add_argument("--style", default="", help="words such as 'very slow, loud, whisper'")
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default 0)")
    parser.add_argument("--temperature", type=float, help="of drawing (default: the run's own)")
    parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate (default: the speaker's own)")
    parser.add_argument("--normaliser", default="plain", metavar="NAME",
                        help="what says numbers and signs in words: plain, nemo or none")  # fmt: skip
    batch = "many texts: a table (csv, tsv, jsonl) with a column text, or a manifest; -o names a folder"
    parser.add_argument("--batch", type=Path, metavar="TABLE", help=batch)
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    if arguments.batch is not None:
        return _batch(arguments)
    text = _text(arguments)
    target = None if arguments.output == _STDIN else _target(arguments)
    synthesiser, _ = _synthesiser(arguments)
    form = target[1] if target else arguments.format or "wav"
    speech = synthesiser.stream(text, voice=arguments.voice, style=arguments.style, seed=arguments.seed,
                                **_options(arguments, synthesiser, form)).read()  # fmt: skip
    if target:
        _to_file(speech, target[0], form)
    elif arguments.stream:
        _to_pipe(speech, form)
    else:
        _to_stdout(speech, form)
    if speech.told:
        print(f"stentor: {speech.told}", file=sys.stderr)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.output is None:
        raise StentorError("say where the audio goes: -o FILE, or -o - for standard output.", path="--output")
    if (arguments.text is None) == (arguments.batch is None):
        raise StentorError("give a text, '-' for standard input, or --batch TABLE.", path="TEXT")
    if arguments.batch is not None and arguments.output == _STDIN:
        raise StentorError("many texts go into a folder; name one.", path="--output", value=_STDIN)
    _check_rate(arguments.rate)
    piped = arguments.output == _STDIN
    for name in ("stream", "format"):
        if getattr(arguments, name) and not piped:
            raise StentorError("is for standard output: -o -.", path=f"--{name}")


def _check_rate(rate: int | None) -> None:
    from stentor_tts.speaking.synthesiser import RATES

    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise StentorError(f"must be from {RATES[0]} to {RATES[1]}.", path="--rate", value=rate)


def _text(arguments: argparse.Namespace) -> str:
    if arguments.text != _STDIN:
        return str(arguments.text)
    return sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")


def _target(arguments: argparse.Namespace) -> tuple[Path, str]:
    from stentor_tts.speaking.formats import form_of

    path = Path(arguments.output)
    form = form_of(path)
    if path.exists() and not arguments.force:
        raise StentorError("is there already; --force writes over it.", path=str(path))
    return path, form


def _synthesiser(arguments: argparse.Namespace) -> tuple[Synthesiser, dict[str, str]]:
    from stentor_tts.speaking.choice import choose
    from stentor_tts.speaking.synthesiser import Synthesiser

    speaker = choose(arguments.run, arguments.engine, device=arguments.device)
    provenance = speaker.load_pretrained()
    normaliser = "" if arguments.normaliser == "none" else arguments.normaliser
    return Synthesiser(speaker, normaliser=normaliser), provenance


def _options(arguments: argparse.Namespace, synthesiser: Synthesiser, form: str) -> dict[str, Any]:
    from stentor_tts.speaking.formats import rate_for

    rate = rate_for(form, synthesiser.speaker.sample_rate if arguments.rate is None else arguments.rate)
    if arguments.rate not in (None, rate):
        print(f"stentor: {form} knows no rate of {arguments.rate} Hz; it is written at {rate} Hz.", file=sys.stderr)
    return {"speed": arguments.speed, "temperature": arguments.temperature, "sample_rate": rate}


def _to_file(speech: Speech, path: Path, form: str) -> None:
    from tqdm import tqdm

    from stentor.data.atomic import replacing
    from stentor_tts.speaking.formats import Encoder

    with replacing(path) as temporary, tqdm(unit=" s", desc="audio", disable=not sys.stderr.isatty()) as bar:
        encoder = Encoder(form, speech.sample_rate, temporary)
        for chunk in speech:
            encoder.push(chunk)
            bar.update(round(len(chunk) / speech.sample_rate, 2))
        encoder.close()


def _to_pipe(speech: Speech, form: str) -> None:
    from stentor_tts.speaking.formats import Encoder

    encoder, out = Encoder(form, speech.sample_rate), sys.stdout.buffer
    for chunk in speech:
        out.write(encoder.push(chunk))
        out.flush()
    out.write(encoder.close())
    out.flush()


def _to_stdout(speech: Speech, form: str) -> None:
    """Whole, with a header that tells its length."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech"
        _to_file(speech, path, form)
        sys.stdout.buffer.write(path.read_bytes())
        sys.stdout.buffer.flush()


def _batch(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from stentor.data.quarantine import by_reason
    from stentor_tts.speaking import batch, rows

    table, folder = list(rows.rows(arguments.batch)), Path(arguments.output)
    synthesiser, provenance = _synthesiser(arguments)
    usual = batch.Usual(arguments.voice or "", arguments.style, arguments.seed,
                        _options(arguments, synthesiser, "flac"), provenance)  # fmt: skip
    with tqdm(total=len(table), desc="texts", disable=not sys.stderr.isatty() and len(table) < 100) as bar:
        spoken, bad = batch.speak_all(iter(table), synthesiser, usual, folder, advance=bar.update)
    minutes = sum(one.duration for one in spoken) / 60
    print(
        f"{folder / batch.MANIFEST}: {len(spoken)} texts, {minutes:.1f} min of synthetic speech; {len(bad)} put aside"
    )
    for reason, count in by_reason(bad).items():
        print(f"  {count} x {reason}")
    return 1 if bad else 0
