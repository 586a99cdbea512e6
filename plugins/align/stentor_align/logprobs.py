"""Log-probabilities of responses: packed without padding, prompts read once, logits only where a token counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from stentor.interfaces.backbone import Backbone
from stentor_align.legal import Legal
from stentor_align.losses.sequences import padded, valid

_LOGITS = 1 << 23
"""Most logits that are kept for the backward pass; more are made in chunks, and anew on the way back."""


@dataclass(frozen=True, eq=False)
class Read:
    """Hidden states of responses that lie end to end, N tokens in all.

    Attributes:
        before: float [N, D], what each token was chosen from.
        after: float [N, D], what has read each token, where that was asked for.
        ids: int64 [N], the tokens.
        lengths: tokens of each response.
    """

    before: Tensor
    after: Tensor | None
    ids: Tensor
    lengths: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Scored:
    """Log-probabilities of responses that lie end to end.

    Attributes:
        log_probs: float32 [N]; 0 where a token does not count.
        counts: bool [N], which tokens count.
        lengths: tokens of each response.
    """

    log_probs: Tensor
    counts: Tensor
    lengths: tuple[int, ...]

    def rows(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities float32 [B, T] and which count, bool [B, T]; padded on the right."""
        return padded(self.log_probs, self.lengths), padded(self.counts, self.lengths, False) & valid(
            self.lengths, self.counts.device
        )

    def totals(self) -> tuple[Tensor, Tensor]:
        """Log-probability of each response, float32 [B], and how many of its tokens count, int64 [B]."""
        owner = torch.arange(len(self.lengths), device=self.log_probs.device)
        owner = owner.repeat_interleave(torch.tensor(self.lengths, device=owner.device))
        sums = self.log_probs.new_zeros(len(self.lengths)).index_add(0, owner, self.log_probs)
        numbers = torch.zeros(len(self.lengths), dtype=torch.int64, device=owner.device)
        return sums, numbers.index_add(0, owner, self.counts.long())


def read(
    backbone: Backbone,
    prompts: Sequence[Tensor],
    responses: Sequence[Sequence[int]],
    owners: Sequence[int] | None = None,
    *,
    after: bool = False,
) -> Read:
    """Run prompts and responses through a backbone, in one row without padding.

    Where the backbone claims ``forks``, the responses to one prompt share one reading of it.

    Args:
        backbone: the model.
        prompts: embeddings float [T, D] of each.
        responses: ids of each; may be empty.
        owners: which prompt each response follows; None: each its own.
        after: whether hidden states that have read a token are wanted too.
    """
    owners = range(len(responses)) if owners is None else owners
    lengths = tuple(map(len, responses))
    device = next(backbone.parameters()).device
    ids = torch.tensor([token for row in responses for token in row], dtype=torch.int64, device=device)
    if not len(ids):
        nothing = prompts[0].new_zeros(0, backbone.dim) if prompts else torch.zeros(0, backbone.dim, device=device)
        return Read(nothing, nothing if after else None, ids, lengths)
    said = torch.split(backbone.embed(ids), list(lengths))
    plan = _Plan("forks" in backbone.capabilities, spare=0 if after else 1)
    for prompt, embedding in enumerate(prompts):
        plan.add(embedding, {row: said[row] for row, owner in enumerate(owners) if owner == prompt and lengths[row]})
    hidden = backbone(torch.cat(plan.inputs)[None], packed=plan.packing)[0]
    chosen_from = torch.tensor([place for row in range(len(responses)) for place in plan.before.get(row, ())])
    whole = (
        hidden[torch.tensor([p for row in range(len(responses)) for p in plan.after.get(row, ())])] if after else None
    )
    return Read(hidden[chosen_from.to(device)], whole, ids, lengths)


class _Plan:
    """Where prompts and responses lie in one packed row.

    Args:
        forks: whether responses to one prompt share it.
        spare: 1: the last token of a response, which predicts nothing, is left out.
    """

    def __init__(self, forks: bool, spare: int) -> None:
        self.forks, self.spare = forks, spare
        self.inputs: list[Tensor] = []
        self.packing: list[int | list[int]] = []
        self.before: dict[int, list[int]] = {}
        self.after: dict[int, list[int]] = {}
        self._held = 0

    def add(self, prompt: Tensor, responses: dict[int, Tensor]) -> None:
        """Lay down `prompt` [T, D] and its responses [n, D] by their numbers."""
        if self.forks and len(responses) > 1:
            first = self._lay(prompt)
            places = [self._lay(said[: len(said) - self.spare]) for said in responses.values()]
            self.packing.append([len(prompt), *(len(said) - self.spare for said in responses.values())])
            for (row, said), place in zip(responses.items(), places, strict=True):
                self._note(row, first + len(prompt) - 1, place, len(said))
            return
        for row, said in responses.items():
            first, place = self._lay(prompt), self._lay(said[: len(said) - self.spare])
            self.packing.append(len(prompt) + len(said) - self.spare)
            self._note(row, first + len(prompt) - 1, place, len(said))

    def _lay(self, part: Tensor) -> int:
        place = self._held
        self.inputs.append(part)
        self._held += len(part)
        return place

    def _note(self, row: int, last: int, place: int, count: int) -> None:
        self.before[row] = [last, *range(place, place + count - 1)]
        self.after[row] = list(range(place, place + count))


def score(
    backbone: Backbone,
    found: Read,
    *,
    temperature: float = 1.0,
    legal: Legal | None = None,
    bearing: Tensor | None = None,
) -> Scored:
    """Log-probabilities of the tokens that were read.

    Args:
        backbone: projects hidden states to logits.
        found: from `read`.
        temperature: divides the logits, as it did while sampling.
        legal: what the grammar allowed: probabilities are then among these alone.
        bearing: bool [V]: ids that count; of the others no logits are made and no gradient comes. None: all count.
    """
    device = found.before.device
    if bearing is None:
        counts = torch.ones(len(found.ids), dtype=torch.bool, device=device)
        return Scored(of_tokens(backbone, found.before, found.ids, temperature, legal), counts, found.lengths)
    counts = bearing.to(device)[found.ids]
    places = counts.nonzero().squeeze(1)
    some = None if legal is None else legal.at(places)
    values = of_tokens(backbone, found.before[places], found.ids[places], temperature, some)
    return Scored(values.new_zeros(len(counts)).index_put((places,), values), counts, found.lengths)


def of_tokens(
    backbone: Backbone, hidden: Tensor, ids: Tensor, temperature: float = 1.0, legal: Legal | None = None
) -> Tensor:
    """Log-probabilities float32 [N] of `ids` [N] given hidden states [N, D]."""
    if not len(ids):
        return hidden.new_zeros(0, dtype=torch.float32) + hidden.sum() * 0
    chunks = _chunks(backbone, hidden)

    def of_chunk(part: Tensor, places: slice) -> Tensor:
        logits = _logits(backbone, part, temperature, legal, places)
        return -functional.cross_entropy(logits, ids[places], reduction="none")

    if len(chunks) == 1:
        return of_chunk(hidden, chunks[0])
    return torch.cat([checkpoint(of_chunk, hidden[places], places, use_reentrant=False) for places in chunks])


@torch.no_grad()
def entropy(backbone: Backbone, hidden: Tensor, temperature: float = 1.0, legal: Legal | None = None) -> Tensor:
    """Entropy float32 [N] (nats) of what follows hidden states [N, D]; for the log, without gradient."""
    found = [hidden.new_zeros(0, dtype=torch.float32)]
    for places in _chunks(backbone, hidden):
        log_probs = _logits(backbone, hidden[places], temperature, legal, places).log_softmax(-1)
        found.append(-(log_probs.exp() * log_probs.masked_fill(log_probs.isneginf(), 0.0)).sum(-1))
    return torch.cat(found)


def _chunks(backbone: Backbone, hidden: Tensor) -> list[slice]:
    """Stretches of hidden states [N, D] whose logits may be held at once."""
    if not len(hidden):
        return []
    with torch.no_grad():
        step = max(1, _LOGITS // backbone.project(hidden[:1]).shape[-1])
    return [slice(start, start + step) for start in range(0, len(hidden), step)]


def _logits(backbone: Backbone, hidden: Tensor, temperature: float, legal: Legal | None, places: slice) -> Tensor:
    """float32 [n, V] of hidden states [n, D] that are `places` of all; -inf where the grammar forbids a token."""
    logits = backbone.project(hidden).float()
    if temperature != 1:
        logits = logits / temperature
    if legal is not None:
        logits = logits.masked_fill(legal.forbidden(places, logits.device), -torch.inf)
    return logits
