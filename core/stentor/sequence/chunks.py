"""The layout of text and audio in turns: a chunk of text, a chunk of codes, and so on (TA-N, 10:6:9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import Codes
from stentor.sequence import spans
from stentor.sequence.grammar import Grammar, interleave
from stentor.sequence.spans import Span


class Chunks:
    """Chunks of `text` text ids and then codes of each codebook, until both are over.

    1 text : 4 codes is TA4 (Step-Audio 2, arXiv 2507.16632); 10 text : 6 linguistic : 9 semantic is Step-Audio-AQAA's
    (2506.08967), three groups of the dual codebook; a chunk as long as any text is all text first. What ends earlier is
    padded, in whole chunks, and `end` follows the last. No text at all (`text` 0) is audio alone.

    Args:
        size: number of ids in the vocabulary.
        text_ids: of text.
        books: ids of each codebook.
        text: text ids in a chunk.
        codes: codes of each codebook in a chunk.
        pad: the id that fills the slots of what is over.
        end: the id behind the last chunk.

    Raises:
        StentorError: for counts that make no chunk, or ids that are shared.
    """

    def __init__(
        self,
        size: int,
        text_ids: range,
        books: Sequence[range],
        *,
        text: int,
        codes: Sequence[int],
        pad: int,
        end: int,
    ) -> None:
        if text < 0 or len(codes) != len(books) or min(codes, default=0) < 1:
            told = (
                f"{text} text ids and {list(codes)} codes of {len(books)} codebooks make no chunk; every codebook needs"
            )
            raise StentorError(f"{told} at least one code.", path="chunks")
        self.size, self.pad, self.end = size, pad, end
        self._ids = [*([text_ids] if text else []), *books]
        self._counts = [*([text] if text else []), *codes]
        self._spoken = len(codes)
        self._grammar = interleave(size, list(zip(self._ids, self._counts, strict=True)), end=end, pad=pad)

    @property
    def grammar(self) -> Grammar[Any]:
        """What may come next: content or its padding in each slot, ``end`` between chunks."""
        return self._grammar

    @property
    def length(self) -> int:
        """Ids in a chunk."""
        return sum(self._counts)

    def ids(self, text: Sequence[int], codes: Codes) -> Tensor:
        """Ids int64 [n] of text and codes, each in the vocabulary's id space, with padding and ``end``.

        Raises:
            StentorError: for an id outside of its range, or text where there is none.
        """
        streams = [*self._text(text), *codes]
        self._check(streams)
        chunks = max(-(-len(stream) // count) for stream, count in zip(streams, self._counts, strict=True))
        rows = torch.full((chunks, self.length), self.pad, dtype=torch.int64)
        for stream, part, count in zip(streams, rows.split(self._counts, 1), self._counts, strict=True):
            filled = torch.full((chunks * count,), self.pad, dtype=torch.int64)
            filled[: len(stream)] = stream
            part.copy_(filled.view(chunks, count))
        return torch.cat([rows.flatten(), torch.tensor([self.end])])

    def spans(self, text: Sequence[int], codes: Codes, *, padding: float = 1.0, role: str = "assistant") -> list[Span]:
        """The same as spans that carry the loss.

        Args:
            text: ids.
            codes: ids of each codebook.
            padding: loss weight of slots that are padded; 0 leaves what is over out of the loss.
            role: who speaks.
        """
        kinds = [spans.text] * (len(self._ids) - self._spoken) + [spans.codes] * self._spoken
        found: list[Span] = []
        for chunk in self.ids(text, codes)[:-1].split(self.length):
            for part, kind in zip(chunk.split(self._counts), kinds, strict=True):
                content = int((part != self.pad).sum())
                pieces = ((part[:content], 1.0), (part[content:], padding))
                found += [kind(piece, weight=weight, role=role) for piece, weight in pieces if len(piece)]
        return [*found, spans.control(self.end, weight=1.0, role=role)]

    def read(self, ids: Tensor) -> tuple[list[int], Codes]:
        """Text and codes of ids int64 [n], padding and ``end`` left out; a chunk may be cut short at the end."""
        body = ids[: int((ids == self.end).nonzero()[0])] if (ids == self.end).any() else ids
        place = torch.arange(len(body)) % self.length
        edges = torch.tensor([0, *self._counts]).cumsum(0).tolist()
        streams = [
            part[part != self.pad]
            for first, last in pairwise(edges)
            for part in [body[(place >= first) & (place < last)]]
        ]
        text = streams[0].tolist() if len(streams) > self._spoken else []
        return text, tuple(streams[-self._spoken :])

    def _text(self, text: Sequence[int]) -> list[Tensor]:
        if len(self._ids) > self._spoken:
            return [torch.as_tensor(list(text), dtype=torch.int64)]
        if len(text):
            raise StentorError("these chunks have no room for text.", path="chunks")
        return []

    def _check(self, streams: Sequence[Tensor]) -> None:
        if len(streams) != len(self._ids):
            raise StentorError(f"there are codes of {len(streams)} streams where {len(self._ids)} are due.")
        for stream, ids in zip(streams, self._ids, strict=True):
            wrong = stream[(stream < ids.start) | (stream >= ids.stop)]
            if len(wrong):
                raise StentorError(f"id {int(wrong[0])} does not lie in {ids.start}..{ids.stop - 1}.", path="chunks")
