"""The preferences of a batch, as ids of the policy that learns from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from stentor.data.collate import collate
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.policy import Policy, Prompts
from stentor_align import legal
from stentor_align.preferences import fields
from stentor_align.preferences.fields import Pair

Fit = Callable[[Mapping[str, Any], Sequence[int]], None]
"""Objects to a response, or does not."""


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
    batch: Mapping[str, Any],
    policy: Policy,
    prompts: Prompts | None = None,
    *,
    margin: float = 0.0,
    fit: Fit | None = None,
) -> Preferences:
    """All usable pairs of a batch from the loader; rows without any and what cannot be used are left out and told.

    Args:
        batch: has ``custom``.
        policy: gives the ids.
        prompts: what it makes of the batch, where responses that it could never give are to be left out too.
        margin: pairs whose scores are known to be apart by this or less are left out.
        fit: objects to a response and its ids, with a `StentorError`, where more is needed of it than that.
    """
    found = Preferences()
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for row, custom in enumerate(batch.get("custom") or ()):
        name = batch["ids"][row]
        try:
            pairs = _pairs(custom, margin)
            said = [[_ids(policy, one) for one in (pair.chosen, pair.rejected)] for pair in pairs]
            if prompts is not None:
                legal.of_choices(prompts, [row] * 2 * len(said), [ids for pair in said for ids in pair])
            if fit is not None:
                for pair, ids in zip(pairs, said, strict=True):
                    fit(pair.chosen, ids[0])
                    fit(pair.rejected, ids[1])
        except StentorError as error:
            found.dropped.append(f"{name}: {error}")
            continue
        for pair, (better, worse) in zip(pairs, said, strict=True):
            if better == worse:
                found.dropped.append(f"{name}: chosen and rejected have the same tokens.")
                continue
            found.pairs.append(pair)
            found.owners.append(row)
            sides[0].append(better)
            sides[1].append(worse)
    found.owners *= 2
    found.tokens = sides[0] + sides[1]
    return found


@torch.no_grad()
def require(rows: Sequence[Utterance], policy: Policy, *, margin: float = 0.0, fit: Fit | None = None) -> None:
    """Refuse a training set that has nothing to learn from, and look no further than its first usable pair.

    What a grammar allows is looked at where prompts need no audio.

    Args:
        rows: of the set.
        policy: gives the ids, in evaluation mode.
        margin: as for `of_batch`.
        fit: likewise.

    Raises:
        StentorError: when no row has a usable pair.
    """
    first = ""
    for row in rows:
        batch = collate([row])
        prompts = None if policy.hears else policy.ask(batch)
        found = of_batch(batch, policy, prompts, margin=margin, fit=fit)
        if found:
            return
        first = first or found.dropped[0]
    told = f"none of its {len(rows)} rows has a pair of responses to learn from; the first was dropped: {first}"
    raise StentorError(told, path="data.train")


def _pairs(custom: Mapping[str, Any], margin: float) -> list[Pair]:
    """Those of a row.

    Raises:
        StentorError: when there is none.
    """
    found = fields.pairs(custom, margin=margin)
    if found:
        return found
    if "chosen" in custom or len(custom.get("ranked", ())) > 1:
        raise StentorError(f"no two of its responses have scores that are apart by more than {margin:g} the right way.")
    raise StentorError("it has no two responses of which one is preferred.")


def _ids(policy: Policy, response: Mapping[str, Any]) -> list[int]:
    tokens, size = policy.tokens_of(response), policy.vocabulary.size
    if not tokens:
        raise StentorError("a response has no token, not even an end.")
    odd = [token for token in tokens if not 0 <= token < size]
    if odd:
        raise StentorError(f"a response has token {odd[0]}, and the policy's vocabulary has {size}.", value=odd[0])
    return tokens
