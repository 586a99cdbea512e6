"""``stentor ngram TEXT|MANIFEST... -o lm.arpa [--order 3] [--run RUN [--level token]]``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.interfaces.tokenizer import TextTokenizer

_TOLD = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", type=Path, metavar="TEXT|MANIFEST",
                        help="text files with one sentence a line, and manifests (.jsonl, .jsonl.gz)")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="ARPA", help="gzipped if named .gz")
    parser.add_argument("--order", type=int, default=3, help="longest n-grams (default 3)")
    parser.add_argument("--run", type=Path, help="write words as the tokenizer of this run does")
    parser.add_argument("--level", choices=("word", "token"), default="word", help="of what (token needs --run)")
    parser.add_argument("--keep-case", action="store_true", help="without --run words are put in lower case")


def run(arguments: argparse.Namespace) -> int:
    from stentor_asr.lm import arpa, kneser_ney

    if arguments.level == "token" and arguments.run is None:
        raise StentorError("a model of tokens needs the run whose tokens they are.", path="--run")
    left_out: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kneser_ney.TooSmall)
        model = kneser_ney.estimate(_units(arguments, left_out), arguments.order)
    arpa.write(arguments.output, model)
    for line in [str(warning.message) for warning in caught] + left_out[:_TOLD]:
        print(f"stentor: {line}", file=sys.stderr)
    if len(left_out) > _TOLD:
        print(f"stentor: {len(left_out) - _TOLD} more lines were left out", file=sys.stderr)
    counts = ", ".join(f"{len(logs)} {order}-grams" for order, logs in enumerate(model.logs, 1))
    print(f"{arguments.output}: {counts}")
    return 0


def _units(arguments: argparse.Namespace, left_out: list[str]) -> Iterator[Sequence[str]]:
    from tqdm import tqdm

    from stentor_asr.decoders.pieces import Pieces
    from stentor_asr.lm import texts

    tokenizer = _tokenizer(arguments.run) if arguments.run else None
    pieces = Pieces.of(tokenizer) if tokenizer and arguments.level == "token" else None
    read = (text for source in arguments.sources for text in texts.sentences(source, left_out.append))
    for text in tqdm(read, desc="sentences", unit="", disable=not sys.stderr.isatty()):
        if pieces is not None:
            yield texts.tokens(text, pieces)
        else:
            yield texts.words(text, tokenizer, keep_case=arguments.keep_case)


def _tokenizer(folder: Path) -> TextTokenizer:
    from stentor import train
    from stentor.interfaces.tokenizer import TextTokenizer

    _, task = train.load(folder)
    found = getattr(task, "text", None)
    if not isinstance(found, TextTokenizer):
        raise StentorError("the task of this run has no text tokenizer.", path=str(folder))
    return found
