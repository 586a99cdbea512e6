"""Codes of recordings as frames, so that the loader's cache keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stentor.interfaces.codec import Codec, CodecSpec, Codes


class CodesAsFrames(nn.Module):
    """A frozen codec as an encoder: waveforms to one frame per group, which holds the group's codes.

    Frames are float32, in which codes up to 2**24 are exact; a cache must keep them so: ``data.cache_precision: fp32``.

    Args:
        codec: with its weights.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec.requires_grad_(False).eval()
        self._first = Lock()

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_first": None}  # type: ignore[misc,no-untyped-call]

    @torch.no_grad()
    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames float32 [B, G, codes in a group] and groups int64 [B]."""
        with (
            self._first
        ):  # a codec may build parts of itself when it is first used; the cache asks from several threads
            rows = [frames(self.codec.declared, codes) for codes in self.codec.encode(audio, lengths)]
        counts = torch.tensor([len(row) for row in rows], device=audio.device)
        return pad_sequence(rows, batch_first=True), counts


def frames(spec: CodecSpec, codes: Codes) -> Tensor:
    """Codes of one utterance as float32 [G, codes in a group]: each codebook's codes side by side."""
    groups = min(len(book) // count for book, count in zip(codes, spec.pattern, strict=True))
    parts = [book[: groups * n].reshape(groups, n) for book, n in zip(codes, spec.pattern, strict=True)]
    return torch.cat(parts, 1).float()


def codes_of(spec: CodecSpec, frames: Tensor, lengths: Sequence[int]) -> list[Codes]:
    """The codes in frames [B, G, codes in a group], `lengths` of them valid."""
    whole = frames.round().long()
    return [
        tuple(part.flatten() for part in row[:length].split(list(spec.pattern), 1))
        for row, length in zip(whole, lengths, strict=True)
    ]
