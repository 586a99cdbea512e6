"""Codes of recordings as frames, so that the loader's cache keeps them: once for all tasks that train on them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from threading import Lock

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stentor.interfaces.codec import Codec, CodecSpec, Codes

_DIGIT = 1024
"""A code is kept as two digits, so that it survives half precision."""


class CodesAsFrames(nn.Module):
    """A frozen codec as an encoder: waveforms to one frame per group, which holds the group's codes.

    Args:
        codec: with its weights.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec.requires_grad_(False).eval()
        self._first: Lock | None = Lock()

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_first": None}  # type: ignore[misc,no-untyped-call]

    @torch.no_grad()
    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames float32 [B, G, 2 * codes in a group] and groups int64 [B]."""
        # a codec may build parts of itself when it is first used; the cache asks from several threads
        with self._first or nullcontext():
            self._first = None
            codes = self.codec.encode(audio, lengths)
        rows = [frames(self.codec.declared, row) for row in codes]
        counts = torch.tensor([len(row) for row in rows], device=audio.device)
        return pad_sequence(rows, batch_first=True), counts


def frames(spec: CodecSpec, codes: Codes) -> Tensor:
    """Codes of one utterance as float32 [G, 2 * codes in a group]."""
    whole = grouped(spec, codes)
    return torch.cat([whole // _DIGIT, whole % _DIGIT], 1).float()


def codes_of(spec: CodecSpec, frames: Tensor, lengths: Sequence[int]) -> list[Codes]:
    """The codes in frames [B, G, 2 * codes in a group], `lengths` of them valid."""
    high, low = frames.round().long().chunk(2, -1)
    whole = high * _DIGIT + low
    return [ungrouped(spec, row[:length]) for row, length in zip(whole, lengths, strict=True)]


def grouped(spec: CodecSpec, codes: Codes) -> Tensor:
    """Codes of one utterance as int64 [G, codes in a group]: each codebook's codes of a group side by side."""
    groups = min(len(book) // count for book, count in zip(codes, spec.pattern, strict=True))
    parts = [book[: groups * n].reshape(groups, n) for book, n in zip(codes, spec.pattern, strict=True)]
    return torch.cat(parts, 1)


def ungrouped(spec: CodecSpec, rows: Tensor) -> Codes:
    """The codes in rows int64 [G, codes in a group]."""
    return tuple(part.flatten() for part in rows.split(list(spec.pattern), 1))
