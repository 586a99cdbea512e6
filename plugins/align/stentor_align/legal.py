"""What a grammar allowed at every token of responses, so that they are scored among what could be said there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.sequence.grammar import Grammar


@dataclass(frozen=True, eq=False)
class Legal:
    """Masks of a grammar along responses that lie end to end.

    Attributes:
        masks: bool [M, V], the different ones.
        index: int64 [N], which of them held when each token was chosen.
    """

    masks: Tensor
    index: Tensor

    def forbidden(self, places: slice | Tensor, device: torch.device) -> Tensor:
        """bool [n or 1, V]: what was not allowed at `places` of the N tokens."""
        if len(self.masks) == 1:
            return ~self.masks.to(device)
        return ~self.masks[self.index[places]].to(device)

    def at(self, places: Tensor) -> Legal:
        """The same for some of the tokens."""
        return Legal(self.masks, self.index[places.to(self.index.device)])


def along(grammar: Grammar[Any], responses: Sequence[Sequence[int]]) -> Legal:
    """Follow `grammar` through every response.

    Raises:
        StentorError: when a response says what the grammar does not allow there.
    """
    known: dict[int, int] = {}
    masks: list[Tensor] = []
    index: list[int] = []
    for row, tokens in enumerate(responses):
        state = grammar.start()
        for place, token in enumerate(tokens):
            mask = grammar.allowed(state)
            if not 0 <= token < len(mask) or not mask[token]:
                told = f"response {row} has token {token} at place {place}, where the policy's grammar forbids it."
                raise StentorError(told, value=token)
            if id(mask) not in known:
                known[id(mask)] = len(masks)
                masks.append(mask)  # kept, so that no other mask gets its id
            index.append(known[id(mask)])
            state = grammar.advance(state, token)
    if not masks:
        masks.append(grammar.allowed(grammar.start()))
    return Legal(torch.stack(masks), torch.tensor(index, dtype=torch.int64))
