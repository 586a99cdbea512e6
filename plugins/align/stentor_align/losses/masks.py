"""Which tokens bear a loss: by the vocabulary's blocks, so that audio may be left out of a preference loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.sequence.vocabulary import Vocabulary


def bearing(vocabulary: Vocabulary, left_out: Sequence[str]) -> Tensor:
    """bool [size]: which ids bear a loss when those of the blocks `left_out` do not.

    Step-Audio-AQAA leaves audio tokens out of DPO, because preferences over audio tore text and audio apart (arXiv
    2506.08967); blocks of a voice are ``codes.linguistic`` and ``codes.semantic``.

    Raises:
        StentorError: for a block that the vocabulary does not have.
    """
    names = [block.name for block in vocabulary.blocks()]
    for name in left_out:
        if name not in names:
            raise StentorError("the policy's vocabulary has no such block.", path="task.left_out", value=name,
                               options=names)  # fmt: skip
    found = torch.ones(vocabulary.size, dtype=torch.bool)
    for name in left_out:
        block = vocabulary.block(name)
        found[block.start : block.start + block.size] = False
    return found
