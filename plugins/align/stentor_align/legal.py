"""What a grammar allowed at every token of responses, so that they are scored among what could be said there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.policy import Prompts
from stentor.sequence.grammar import Grammar, Only


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


def of_choices(prompts: Prompts, owners: Sequence[int], responses: Sequence[Sequence[int]]) -> Legal | None:
    """What the grammars of prompts allowed along responses, where they are more than a set of ids.

    Such a grammar gives some tokens of a response outright, as the text of a word whose turn has come to be said: among
    what it allows these are certain, so that nobody is praised or blamed for them. Against a mere set of ids every
    token is weighed against all of the vocabulary, as it was in training: None.

    Args:
        prompts: from the policy.
        owners: which prompt each response answers.
        responses: ids of each.

    Raises:
        StentorError: when a response says what its grammar does not allow there.
    """
    if isinstance(prompts.grammar, Only):
        return None
    return along(prompts.grammars(owners), responses)


def along(grammar: Grammar[Any] | Sequence[Grammar[Any]], responses: Sequence[Sequence[int]]) -> Legal:
    """Follow `grammar` through every response; several: each through its own.

    Raises:
        StentorError: when a response says what the grammar does not allow there.
    """
    known: dict[int, int] = {}
    masks: list[Tensor] = []
    index: list[int] = []
    grammars = [grammar] * len(responses) if isinstance(grammar, Grammar) else grammar
    for row, (rules, tokens) in enumerate(zip(grammars, responses, strict=True)):
        state = rules.start()
        for place, token in enumerate(tokens):
            mask = rules.allowed(state)
            if not 0 <= token < len(mask) or not mask[token]:
                told = f"response {row} has token {token} at place {place}, where the policy's grammar forbids it."
                raise StentorError(told, value=token)
            if id(mask) not in known:
                known[id(mask)] = len(masks)
                masks.append(mask)  # kept, so that no other mask gets its id
            index.append(known[id(mask)])
            state = rules.advance(state, token)
    if not masks:
        masks = [one.allowed(one.start()) for one in grammars[:1]] or [torch.zeros(0, dtype=torch.bool)]
    return Legal(torch.stack(masks), torch.tensor(index, dtype=torch.int64))
