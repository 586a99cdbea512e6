"""Where codes, positions and mel frames lie inside a group of a codec."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec, Codes
from stentor_tts.mel import BINS, FRAME_RATE


class Grid:
    """A group of codes as positions of the model: each position is `stack` mel frames side by side.

    Position p covers the share [p / P, (p + 1) / P) of its group, code j of n the share [j / n, (j + 1) / n): on a grid
    of 50 Hz each linguistic code of the dual tokenizer covers three positions, each semantic one two.

    Args:
        codec: whose codes they are.
        stack: mel frames (10 ms) per position.

    Attributes:
        frames: mel frames in a group.
        positions: positions in a group.
        channels: values at a position.

    Raises:
        StentorError: when a group is no whole number of positions.
    """

    def __init__(self, codec: CodecSpec, stack: int) -> None:
        frames = codec.group_samples * FRAME_RATE / codec.sample_rate
        if stack < 1 or abs(frames / stack - round(frames / stack)) > 1e-9:
            raise StentorError(
                f"a group of the codec lasts {frames:g} mel frames, which are no whole number of positions of "
                f"{stack} frames.",
                path="acoustic.stack",
                value=stack,
            )
        self.codec, self.stack = codec, stack
        self.frames = round(frames)
        self.positions = self.frames // stack
        self.channels = stack * BINS

    def overlap(self, codes: int) -> Tensor:
        """Share of each of `codes` codes of a group in each of its positions, float32 [P, codes]; rows sum to 1."""
        edges = torch.arange(self.positions)[:, None] * codes, torch.arange(codes)[None] * self.positions
        end = torch.minimum(edges[0] + codes, edges[1] + self.positions)
        return (end - torch.maximum(*edges)).clamp(min=0) / codes

    def groups(self, codes: Codes) -> int:
        """How many groups the codes of one utterance make.

        Raises:
            StentorError: for codes of too many or too few codebooks, out of range, or that make no whole groups.
        """
        books, pattern = self.codec.codebooks, self.codec.pattern
        counts = [len(row) / n for row, n in zip(codes, pattern, strict=False)]
        if len(codes) != len(pattern) or len(set(counts)) != 1 or counts[0] != int(counts[0]):
            lengths = ", ".join(str(len(row)) for row in codes)
            raise StentorError(f"codes of lengths {lengths} are no whole groups of {' + '.join(map(str, pattern))}.")
        for row, book in zip(codes, books, strict=True):
            if len(row) and (int(row.min()) < 0 or int(row.max()) >= book.size):
                raise StentorError(f"a {book.name} code is not one of 0 to {book.size - 1}.")
        return int(counts[0])

    def pack(self, rows: Sequence[Codes], device: torch.device) -> tuple[list[Tensor], Tensor]:
        """Codes of several utterances, int64 [B, G, n] for each codebook, zero-padded, and their groups int64 [B]."""
        groups = [self.groups(row) for row in rows]
        packed = []
        for book, n in enumerate(self.codec.pattern):
            block = torch.zeros(len(rows), max(groups, default=0) * n, dtype=torch.int64, device=device)
            for place, row in zip(block, rows, strict=True):
                place[: len(row[book])] = row[book]
            packed.append(block.view(len(rows), -1, n))
        return packed, torch.tensor(groups, device=device)

    def stacked(self, mel: Tensor) -> Tensor:
        """Frames float [..., T, BINS] as positions [..., T // stack, channels]; frames left over are dropped."""
        whole = mel.shape[-2] // self.stack
        return mel[..., : whole * self.stack, :].reshape(*mel.shape[:-2], whole, self.channels)

    def unstacked(self, positions: Tensor) -> Tensor:
        """Positions float [..., T, channels] as frames [..., T * stack, BINS]."""
        return positions.reshape(*positions.shape[:-2], -1, BINS)
