"""The preferences of a batch, as ids of the policy that learns from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stentor.errors import StentorError
from stentor.interfaces.policy import Policy, Prompts
from stentor_align import legal
from stentor_align.preferences import fields
from stentor_align.preferences.fields import Pair


@dataclass(eq=False)
class Preferences:
    """P pairs of responses; the chosen ones stand before the rejected ones, in the same order.

    Attributes:
        pairs: as the manifest has them.
        owners: which row of the batch each of the 2 P responses answers.
        tokens: ids of each of the 2 P responses.
        dropped: why rows or pairs were left out, one sentence each.
    """

    pairs: list[Pair] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pairs)


def of_batch(
    batch: Mapping[str, Any], policy: Policy, prompts: Prompts | None = None, *, margin: float = 0.0
) -> Preferences:
    """All usable pairs of a batch from the loader; rows without any and what cannot be used are left out and told.

    Args:
        batch: has ``custom``.
        policy: gives the ids.
        prompts: what it makes of the batch, where responses that it could never give are to be left out too.
        margin: pairs whose scores are known to be apart by this or less are left out.
    """
    found = Preferences()
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for row, custom in enumerate(batch.get("custom") or ()):
        try:
            pairs = fields.pairs(custom, margin=margin)
            if not pairs:
                raise StentorError("it has no two responses of which one is preferred.")
            said = [[_ids(policy, one) for one in (pair.chosen, pair.rejected)] for pair in pairs]
            if prompts is not None:
                legal.of_choices(prompts, [row] * 2 * len(said), [ids for pair in said for ids in pair])
        except StentorError as error:
            found.dropped.append(f"{batch['ids'][row]}: {error}")
            continue
        found.pairs += pairs
        found.owners += [row] * len(pairs)
        for side, tokens in zip(sides, zip(*said, strict=True), strict=False):
            side.extend(tokens)
    found.owners *= 2
    found.tokens = sides[0] + sides[1]
    return found


def _ids(policy: Policy, response: Mapping[str, Any]) -> list[int]:
    tokens, size = policy.tokens_of(response), policy.vocabulary.size
    if not tokens:
        raise StentorError("a response has no token, not even an end.")
    odd = [token for token in tokens if not 0 <= token < size]
    if odd:
        raise StentorError(f"a response has token {odd[0]}, and the policy's vocabulary has {size}.", value=odd[0])
    return tokens
