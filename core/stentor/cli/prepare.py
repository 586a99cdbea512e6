"""``stentor prepare CORPUS [SOURCE] -o FOLDER [option=value ...]``."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Any, get_args

from stentor import __version__
from stentor.cli.counts import at_least_one
from stentor.config import words
from stentor.data import split
from stentor.data.prepare import AUDIO, PrepareSettings, prepare
from stentor.errors import StentorError
from stentor.plugins import installed
from stentor.registry import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "corpus", help="a corpus that `stentor list corpus` shows; `stentor describe` tells its options"
    )
    parser.add_argument("words", nargs="*", metavar="SOURCE option=value",
                        help="the file or folder to import, if the corpus needs one, and its options")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--decode", action=argparse.BooleanOptionalAction, default=True,
                        help="decode all audio, not just its header (default)")  # fmt: skip
    parser.add_argument("--jobs", type=at_least_one, default=2, help="files examined at a time (default 2)")
    parser.add_argument("--split", default="", metavar="valid=0.05,test=0.05", help="shares of the hours to set apart")
    parser.add_argument("--split-by", default="auto", choices=get_args(split.By),
                        help="what stays in one split (auto: speakers where they are known, else texts)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the splitting")


def run(arguments: argparse.Namespace) -> int:
    registry = installed().registry
    entry = registry.get("corpus", arguments.corpus)
    source, options = _source_and_options(entry, arguments.words)
    corpus = entry.load()(source, arguments.output / AUDIO, **options)
    shares = split.parse(arguments.split)
    settings = PrepareSettings(arguments.decode, arguments.jobs, shares, arguments.split_by, arguments.seed)
    summary = prepare(corpus, arguments.output, settings, _about(entry, source, options, settings))
    print(f"{entry.name}, written to {arguments.output}:")
    print("\n".join("  " + line for line in summary.lines()))
    if summary.rejected:
        print(f"  why each was left out: {arguments.output / 'quarantine.jsonl'}")
    return 0


def _source_and_options(entry: Entry, given: list[str]) -> tuple[Path | None, dict[str, Any]]:
    pairs = [word for word in given if word.partition("=")[0].isidentifier() and "=" in word]
    sources = [word for word in given if word not in pairs]
    needed = bool(entry.load().needs_source)
    if len(sources) > needed:
        takes = "takes one SOURCE" if needed else "makes its own audio and takes no SOURCE"
        raise StentorError(f"corpus '{entry.name}' {takes}; an option is written name=value.", path=sources[-1])
    if needed and not sources:
        raise StentorError(f"corpus '{entry.name}' needs a SOURCE: stentor prepare {entry.name} SOURCE -o FOLDER.")
    if needed and not Path(sources[0]).exists():
        raise StentorError("there is no such file or folder.", path=sources[0])
    return (Path(sources[0]) if needed else None), words.options(installed().registry, entry, pairs)


def _about(entry: Entry, source: Path | None, options: dict[str, Any], settings: PrepareSettings) -> dict[str, Any]:
    import soundfile

    return {
        "corpus": entry.name,
        "origin": str(entry.origin),
        "source": str(source) if source else None,
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
        "split": dict(settings.shares),
        "split_by": settings.split_by,
        "seed": settings.seed,
        "decoded": settings.decode,
        "versions": {
            "stentor": __version__,
            "python": platform.python_version(),
            "libsndfile": soundfile.__libsndfile_version__,
        },
    }
