"""Short clips joined into blocks, and what was heard in a block given back to its clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stentor.evaluate.alignment import Step, align

Wave = NDArray[np.float32]
BLOCK_SECONDS = 20.0
"""How long a block is at most (s): recognisers that were trained on long windows hear single short clips worse."""
PAUSE_SECONDS = 0.5
"""Silence between the clips of a block (s)."""


def blocks(seconds: Sequence[float], voices: Sequence[str], longest: float = BLOCK_SECONDS) -> list[list[int]]:
    """Indices of clips, joined in their order and voice by voice up to `longest` seconds, pauses included.

    A clip longer than that is a block of its own. Every clip is in one block.

    Args:
        seconds: of every clip.
        voices: who speaks in every clip; a block has one voice.
        longest: (s).
    """
    found: list[list[int]] = []
    filled = 0.0
    for index in sorted(range(len(seconds)), key=lambda one: (voices[one], one)):
        same = bool(found) and voices[found[-1][0]] == voices[index]
        if not same or filled + PAUSE_SECONDS + seconds[index] > longest:
            found.append([])
            filled = -PAUSE_SECONDS
        found[-1].append(index)
        filled += PAUSE_SECONDS + seconds[index]
    return found


def joined(waves: Sequence[Wave], sample_rate: int) -> Wave:
    """Clips float32 [N_i] one after the other with pauses between them: float32 [N]."""
    pause = np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
    pieces = [piece for wave in waves for piece in (pause, np.asarray(wave, np.float32))]
    return np.concatenate(pieces[1:]) if pieces else np.zeros(0, np.float32)


@dataclass(frozen=True)
class Share:
    """What of a block's alignment belongs to one clip.

    Attributes:
        errors: edits: substituted, inserted and lost tokens.
        units: tokens of its reference.
        heard: its tokens among those heard.
    """

    errors: int
    units: int
    heard: tuple[str, ...]


def shares(references: Sequence[Sequence[str]], heard: Sequence[str]) -> list[Share]:
    """The cheapest alignment of a whole block, each edit given to the clip in whose reference it falls.

    The errors add up to the edit distance of the joined references and what was heard. A token that was inserted
    belongs to the clip of the reference token before it, the first clip's where there is none.

    Args:
        references: tokens of every clip of the block.
        heard: tokens of the block.
    """
    steps: list[list[Step]] = [[] for _ in references]
    owners = _owners(references)
    owner = 0
    for step in align([token for tokens in references for token in tokens], heard):
        if step.reference is not None:
            owner = next(owners)
        steps[owner].append(step)
    return [
        Share(
            sum(step.kind != "equal" for step in own),
            len(tokens),
            tuple(step.output for step in own if step.output is not None),
        )
        for own, tokens in zip(steps, references, strict=True)
    ]


def _owners(references: Sequence[Sequence[str]]) -> Iterator[int]:
    return (index for index, tokens in enumerate(references) for _ in tokens)
