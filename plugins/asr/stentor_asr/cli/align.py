"""``stentor align [AUDIO ...] [--text FILE] [--run RUN | --model NAME] -o FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError
from stentor_asr.cli.transcribe import DEFAULT

if TYPE_CHECKING:
    from stentor.interfaces.corpus import Rejected
    from stentor_asr.align.aligner import Aligner, Item

FORMATS = ("textgrid", "json", "srt", "vtt", "ctm", "tsv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar="AUDIO", help="audio files, and folders of them")
    text = "the text of one file; for several a table 'name text' or a manifest (.jsonl, .jsonl.gz)"
    parser.add_argument("--text", type=Path, metavar="FILE", help=f"{text}; default: a.txt beside a.wav")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--model", default=DEFAULT, metavar="NAME", help=f"Whisper weights (default {DEFAULT})")
    who.add_argument("--run", type=Path, help="the folder of a trained run that has a CTC head")
    parser.add_argument("--format", choices=FORMATS, default="textgrid", help="default: textgrid")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="one file for each item")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--resume", action="store_true", help="leave out items whose file is there already")
    there.add_argument("--force", action="store_true", help="write over files that are there already")
    parser.add_argument("--language", help="what is spoken, for a multilingual Whisper (default en)")
    parser.add_argument("--batch", type=int, default=8, help="windows at a time (default 8)")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")


def run(arguments: argparse.Namespace) -> int:
    from stentor.data import quarantine
    from stentor.interfaces.corpus import Rejected
    from stentor_asr.align.items import items

    if arguments.batch < 1:
        raise StentorError("must be at least 1.", path="--batch", value=arguments.batch)
    found = list(items(arguments.files, arguments.text))
    bad = [one for one in found if isinstance(one, Rejected)]
    work = _work(arguments, [one for one in found if not isinstance(one, Rejected)])
    done = len(found) - len(bad) - len(work)
    if work:
        bad += _align(arguments, work)
    left_out = arguments.output / "quarantine.jsonl"
    if bad or left_out.exists():  # of an earlier call, and no longer true
        quarantine.write(left_out, bad)
    _tell(arguments.output, len(found) - len(bad) - done, done, bad)
    return 1 if found and len(bad) == len(found) else 0


def _work(arguments: argparse.Namespace, found: list[Item]) -> list[tuple[Item, Path]]:
    """Items and where each goes; those that are there already are left out or refused."""
    from stentor_asr.transcribe import outputs, places

    suffix = outputs.SUFFIXES[arguments.format]
    names = [(item.audio, item.name.with_name(item.name.name + suffix)) for item in found]
    targets = places.targets(names, arguments.output, suffix, one_file=False)
    if arguments.resume:
        return [(item, target) for item, target in zip(found, targets, strict=True) if not target.exists()]
    places.check_free(targets, [item.audio for item in found], overwrite=arguments.force)
    return list(zip(found, targets, strict=True))


def _aligner(arguments: argparse.Namespace) -> Aligner:
    from stentor_asr.align.attention import AttentionAligner
    from stentor_asr.align.ctc import CtcAligner
    from stentor_asr.transcribe.choice import choose

    if arguments.run is not None:
        if arguments.language:
            raise StentorError(f"the run '{arguments.run}' takes no language.", path="--language")
        return CtcAligner(arguments.run, arguments.device, arguments.batch)
    recogniser = choose(None, arguments.model, language=arguments.language, device=arguments.device)
    return AttentionAligner(recogniser, arguments.batch)


def _align(arguments: argparse.Namespace, work: list[tuple[Item, Path]]) -> list[Rejected]:
    from tqdm import tqdm

    from stentor.data.atomic import replacing
    from stentor.interfaces.corpus import Rejected
    from stentor_asr.transcribe import outputs

    aligner = _aligner(arguments)
    about: dict[str, Any] = {"model": str(arguments.run or arguments.model), "weights": aligner.load()}
    bad, total = [], sum(item.seconds for item, _ in work)
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with tqdm(total=round(total), desc="audio", disable=not sys.stderr.isatty(), bar_format=form) as bar:
        results = aligner.align([item for item, _ in work], bar.update)
        for (item, target), (_, result) in zip(work, results, strict=True):
            if isinstance(result, Rejected):
                bad.append(result)
                continue
            with replacing(target) as temporary:
                content = outputs.render(arguments.format, result, {**about, "item": item.name.as_posix()})
                temporary.write_text(content, encoding="utf-8")
    return bad


def _tell(folder: Path, aligned: int, done: int, bad: list[Rejected]) -> None:
    before = f", {done} were there already" if done else ""
    print(f"{aligned} aligned{before}, {len(bad)} left out; written to {folder}")
    for one in bad[:5]:
        print(f"stentor: {one.where}: {one.reason}", file=sys.stderr)
    if bad:
        print(f"stentor: why each was left out: {folder / 'quarantine.jsonl'}", file=sys.stderr)
