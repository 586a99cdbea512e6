"""Moonshine tiny (English) as the package moonshine-voice carries it: two ONNX graphs and a list of tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from stentor.errors import StentorError

ENCODER, DECODER, TOKENS = "encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"
_INSTALL = "pip install 'stentor-asr[moonshine]'"
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def folder() -> Path:
    """Where the package keeps the model.

    Raises:
        StentorError: when the package is not installed, or is a version that carries no weights.
    """
    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise StentorError("the package 'moonshine-voice' is not installed.", suggestion=f"Install it: {_INSTALL}")
    found = Path(spec.origin).parent / "assets" / "tiny-en"
    if not (found / DECODER).is_file():
        raise StentorError(f"moonshine-voice {version('moonshine-voice')} carries no weights; 0.0.73 does.",
                           path=str(found), suggestion=f"Install it: {_INSTALL}")  # fmt: skip
    return found


def provenance(model: Path) -> dict[str, str]:
    """Name, source and content hash (over all files) of the model in a folder."""
    digest = hashlib.sha256()
    for name in (ENCODER, DECODER, TOKENS):
        digest.update((model / name).read_bytes())
    source = f"package moonshine-voice {version('moonshine-voice')}"
    return {"name": "moonshine/tiny-en", "source": source, "sha256": digest.hexdigest()}


class Tokens:
    """The pieces of text behind token ids.

    The file has one entry after another: its length, one byte below 128 or two (low seven bits first, marked by the top
    bit), and its bytes; an empty entry is the length 0.

    Args:
        data: of the file.
    """

    def __init__(self, data: bytes) -> None:
        self.pieces = list(_entries(data))

    def text(self, ids: Iterable[int]) -> str:
        """The text of tokens; the first three of the vocabulary are controls and have none."""
        joined = b"".join(self.pieces[token] for token in ids if token > 2)
        return " ".join(joined.decode("utf-8", errors="ignore").replace(_SPACE, " ").split())


def _entries(data: Sequence[int] | bytes) -> Iterable[bytes]:
    at = 0
    while at < len(data):
        size, at = data[at], at + 1
        if size >= 128:
            size, at = size - 128 + 128 * data[at], at + 1
        yield bytes(data[at : at + size])
        at += size
