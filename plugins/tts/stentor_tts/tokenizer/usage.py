"""What the codes of a codec are like over a set: how many are used, how evenly, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from stentor.data import audio, manifest
from stentor.interfaces.codec import Codec, CodecSpec, Codes


class Usage:
    """Counts codes."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec
        self.counts = [torch.zeros(codebook.size, dtype=torch.int64) for codebook in spec.codebooks]

    def add(self, rows: Iterable[Codes]) -> None:
        """Count the codes of utterances."""
        for row in rows:
            for counts, codes in zip(self.counts, row, strict=True):
                counts.add_(torch.bincount(codes.cpu(), minlength=len(counts)))

    def report(self) -> dict[str, Any]:
        """JSON-ready: ``seconds`` of audio in whole groups, ``rate`` (codes/s), ``bits_per_second`` as the sizes allow,
        ``entropy_bits_per_second`` by how often each code comes, and under ``codebooks`` for each: ``size``, ``rate``
        (Hz), ``codes`` counted, ``used`` (share of the codebook), ``dead`` (codes never used), ``perplexity``."""
        books = {book.name: self._of(place) for place, book in enumerate(self.spec.codebooks)}
        groups = int(self.counts[0].sum()) // self.spec.pattern[0]
        return {
            "seconds": groups * self.spec.group_samples / self.spec.sample_rate,
            "rate": self.spec.rate,
            "bits_per_second": sum(book.rate * math.log2(book.size) for book in self.spec.codebooks),
            "entropy_bits_per_second": sum(one["rate"] * math.log2(one["perplexity"]) for one in books.values()),
            "codebooks": books,
        }

    def _of(self, place: int) -> dict[str, Any]:
        book, counts = self.spec.codebooks[place], self.counts[place]
        dead = int((counts == 0).sum())
        return {
            "size": book.size,
            "rate": book.rate,
            "codes": int(counts.sum()),
            "used": 1 - dead / book.size,
            "dead": dead,
            "perplexity": perplexity(counts),
        }


def perplexity(counts: Tensor) -> float:
    """Exponential of the entropy of counts [K]: as many codes, evenly used, would be as hard to guess; 1 for none."""
    shares = counts[counts > 0].double() / max(1, int(counts.sum()))
    return float(torch.exp(-(shares * shares.log()).sum()))


@torch.inference_mode()
def usage_on(codec: Codec, path: str, *, limit: int = 0, progress: bool = True) -> dict[str, Any]:
    """`Usage.report` of a codec over the manifest at `path`, or its first `limit` utterances.

    Raises:
        StentorError: when the manifest or its audio cannot be read.
    """
    rows, spec = manifest.load(path), codec.declared
    usage = Usage(spec)
    for row in tqdm(rows[: limit or len(rows)], desc="codes", unit="utterance", disable=not progress):
        heard = audio.read(row.audio, spec.sample_rate, row.start, row.duration, row.channel)
        waveform = torch.from_numpy(heard)
        usage.add(codec.encode(waveform[None], torch.tensor([len(waveform)])))
    return usage.report()


def spelled(spec: CodecSpec, codes: Sequence[Tensor]) -> str:
    """Codes as text, stream by stream: ``linguistic 17 4 semantic 901 3 3``."""
    names = [book.name for book in spec.codebooks]
    return " ".join(
        f"{name} {' '.join(map(str, row.tolist()))}".strip() for name, row in zip(names, codes, strict=True)
    )
