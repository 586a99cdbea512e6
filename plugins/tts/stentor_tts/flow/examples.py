"""Training examples of a flow-matching decoder: what is to be made, and a reference of the same voice beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.codec import Codes
from stentor_tts.flow.grid import Grid
from stentor_tts.flow.voices import VoiceWarp, applied
from stentor_tts.mel import BINS, normalised

_SHORTEST, _LONGEST = 0.7, 3.0
"""Of a reference in training (s)."""


@dataclass
class Examples:
    """A batch.

    Attributes:
        codes: int64 [B, G, n] for each codebook.
        target: normalised positions [B, T, C].
        valid: which of them exist, bool [B, T].
        counted: which of them cost, bool [B, T]: a stretch that is its own row's reference does not.
        reference: normalised positions [B, R, C] of the references.
        reference_codes: theirs.
        reference_valid: bool [B, R].
    """

    codes: list[Tensor]
    target: Tensor
    valid: Tensor
    counted: Tensor
    reference: Tensor
    reference_codes: list[Tensor]
    reference_valid: Tensor


def examples(
    grid: Grid,
    codes: Sequence[Codes],
    mels: Sequence[Tensor],
    speakers: Sequence[str],
    *,
    warp: VoiceWarp | None,
    chance: torch.Generator | None,
) -> Examples:
    """References are stretches of another utterance of the same speaker; without one, of the same utterance.

    Args:
        grid: where codes lie.
        codes: of each utterance.
        mels: log-mel frames float [T_i, BINS], at least as many as its codes cover.
        speakers: who speaks; empty where that is not known.
        warp: varies each row's voice, in target and reference alike.
        chance: what is drawn is drawn from.

    Raises:
        StentorError: when there are fewer frames than codes.
    """
    device = mels[0].device
    packed, groups = grid.pack(codes, device)
    counts = groups.tolist()
    stretches = [_stretch(grid, row, counts, speakers, chance) for row in range(len(codes))]
    cut = [_cut(grid, codes[source], first, count) for source, first, count in stretches]
    frames = [mels[source][first * grid.frames : (first + n) * grid.frames] for source, first, n in stretches]
    target, reference = _padded(mels, [n * grid.frames for n in counts]), _padded(frames, [len(one) for one in frames])
    if warp is not None:
        drawn = warp.draw(len(mels), target)
        target, reference = applied(target, drawn), applied(reference, drawn)
    valid = torch.arange(target.shape[1] // grid.stack, device=device) < groups[:, None] * grid.positions
    counted = valid.clone()
    for row, (source, first, n) in enumerate(stretches):
        if source == row:
            counted[row, first * grid.positions : (first + n) * grid.positions] = False
    packed_cut, lengths = grid.pack(cut, device)
    known = torch.arange(reference.shape[1] // grid.stack, device=device) < lengths[:, None] * grid.positions
    target, reference = (grid.stacked(normalised(one)) for one in (target, reference))
    return Examples(packed, target, valid, counted, reference, packed_cut, known)


def _stretch(
    grid: Grid, row: int, counts: Sequence[int], speakers: Sequence[str], chance: torch.Generator | None
) -> tuple[int, int, int]:
    """(row, first group, groups) of a row's reference; of its own utterance it takes less than half."""
    others = [n for n, who in enumerate(speakers) if n != row and who and who == speakers[row]]
    source = others[_below(len(others), chance)] if others else row
    per_second = 100 / grid.frames
    most = round(_LONGEST * per_second)
    least = min(round(_SHORTEST * per_second), most)
    room = counts[source] if others else counts[source] // 2
    count = min(room, least + _below(most - least + 1, chance))
    return source, _below(counts[source] - count + 1, chance), count


def _below(end: int, chance: torch.Generator | None) -> int:
    return int(torch.randint(end, (), generator=chance))


def _cut(grid: Grid, codes: Codes, first: int, count: int) -> Codes:
    return tuple(row[first * n : (first + count) * n] for row, n in zip(codes, grid.codec.pattern, strict=True))


def _padded(mels: Sequence[Tensor], frames: Sequence[int]) -> Tensor:
    out = mels[0].new_zeros(len(mels), max(frames), BINS)
    for place, mel, count in zip(out, mels, frames, strict=True):
        if len(mel) < count:
            raise StentorError(f"an utterance has {len(mel)} mel frames under codes for {count}.")
        place[:count] = mel[:count]
    return out
