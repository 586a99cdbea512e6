"""Sentences to train a language model on, from text files and manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stentor.data import jsonl, manifest
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.tokenizer import TextTokenizer
from stentor_asr.decoders.language import symbol
from stentor_asr.decoders.pieces import Pieces

Report = Callable[[str], None]


def sentences(path: Path, report: Report) -> Iterator[str]:
    """The transcripts of a manifest (``.jsonl``, ``.jsonl.gz``), or the lines of a text file, gzipped or not.

    Args:
        path: the file.
        report: is told what was left out: ``file:line`` and why.

    Raises:
        StentorError: when the file cannot be opened.
    """
    if ".jsonl" in path.name:
        for row in manifest.rows(path, check_audio=False):
            if isinstance(row, Rejected):
                report(f"{row.where}: {row.reason}")
            elif row.text:
                yield row.text
        return
    for number, line in jsonl.lines(path):
        try:
            yield _decoded(line)
        except (UnicodeDecodeError, jsonl.BadRow) as bad:
            report(f"{path}:{number}: {bad}")


def _decoded(line: bytes | jsonl.BadRow) -> str:
    if isinstance(line, jsonl.BadRow):
        raise line
    return line.decode("utf-8-sig")


def words(text: str, tokenizer: TextTokenizer | None, *, keep_case: bool) -> list[str]:
    """The words of a sentence, written as the tokenizer would write them; without one in lower case, unless kept."""
    if tokenizer is not None:
        return tokenizer.decode(tokenizer.encode(text)).split()
    return (text if keep_case else text.lower()).split()


def tokens(text: str, pieces: Pieces) -> Sequence[str]:
    """The tokens of a sentence, as models of tokens write them; unknown ones are left out."""
    return [name for i in pieces.tokenizer.encode(text) if (name := symbol(pieces.spelled[i + 1])) != "<unk>"]
