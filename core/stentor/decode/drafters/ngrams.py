"""Drafter ``ngram``: what followed the last tokens before, in this text or in the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.drafter import Drafter, Prefilled
from stentor.sequence.packing import Packed

_FACTOR, _MODULUS = 1_000_003, (1 << 31) - 1


class NGrams(Drafter):
    """Looks the last tokens up and drafts what followed them: no model, hardly any cost.

    The text so far, prompt included, is searched for its own longest ending (prompt lookup: Saxena 2023; LLMA, Yang et
    al. 2023, arXiv 2304.04487). Behind it stands a table of the n-grams of the training texts, which fills while the
    task is trained: each bucket keeps the token that won the majority vote (Boyer and Moore 1981).

    Args:
        length: most tokens drafted at a time.
        order: longest ending that is looked up (tokens).
        table_bits: the table has ``2 ** table_bits`` buckets for each length of ending; 0: no table.
    """

    followers: Tensor
    votes: Tensor

    def __init__(self, backbone: Backbone, *, length: int = 5, order: int = 3, table_bits: int = 16) -> None:
        super().__init__()
        ranges.refuse(
            {
                "length": (length, ranges.least(length, 1)),
                "order": (order, ranges.least(order, 1)),
                "table_bits": (table_bits, (0 <= table_bits <= 28, f"0 (no table) to 28, not {table_bits}")),
            },
            "drafter.",
        )
        self.length, self.order, self.buckets = length, order, 1 << table_bits if table_bits else 0
        self.register_buffer("followers", torch.full((order, self.buckets), -1, dtype=torch.int32))
        self.register_buffer("votes", torch.zeros(order, self.buckets, dtype=torch.int32))

    @torch.no_grad()
    def training_loss(self, packed: Packed, inputs: Tensor, hidden: Tensor) -> None:
        """Count the n-grams that end in a target; there is no loss."""
        if not (self.training and self.buckets):
            return
        sequence = torch.arange(len(packed.lengths)).repeat_interleave(torch.tensor(packed.lengths))
        sequence, key = sequence.to(packed.ids.device), torch.zeros_like(packed.ids)
        usable = packed.targets >= 0
        for count in range(self.order):
            ids = packed.ids.roll(count)
            usable &= (ids >= 0) & (sequence.roll(count) == sequence)
            key = (key * _FACTOR + ids + 2) % _MODULUS
            places = usable.nonzero().squeeze(1)
            self._vote(count, key[places] % self.buckets, packed.targets[places].to(torch.int32))

    def _vote(self, count: int, buckets: Tensor, tokens: Tensor) -> None:
        votes, followers = self.votes[count], self.followers[count]
        agree = followers[buckets] == tokens
        votes.index_add_(0, buckets, torch.where(agree, 1, -1).to(torch.int32))
        lost = votes[buckets] < 0
        followers[buckets[lost]] = tokens[lost]
        votes[buckets[lost]] = 1

    def table(self) -> list[Sequence[int]]:
        """The token that follows, by length of the ending less one and by bucket; -1 where none is known."""
        return list(self.followers.cpu().numpy()) if self.buckets else []

    def start(self, prefilled: Prefilled) -> NGramDraft:
        return NGramDraft(self, prefilled)


class NGramDraft:
    """The text of every row, and where each of its n-grams occurred last."""

    def __init__(self, drafter: NGrams, prefilled: Prefilled) -> None:
        self.drafter, self.ends, self.device = drafter, prefilled.ends, prefilled.first.device
        self.table = drafter.table()
        self.texts: list[list[int]] = []
        self.followers: list[dict[tuple[int, ...], int]] = []
        for ids, first in zip(prefilled.ids, prefilled.first.tolist(), strict=True):
            self.texts.append([])
            self.followers.append({})
            self._read(len(self.texts) - 1, [*ids.tolist(), first])

    def _read(self, row: int, tokens: Sequence[int]) -> None:
        text, followers = self.texts[row], self.followers[row]
        for token in tokens:
            for count in range(1, min(self.drafter.order, len(text)) + 1):
                followers[tuple(text[-count:])] = token
            text.append(token)

    def propose(self, most: int) -> Tensor:
        rows = [self._guess(row, min(most, self.drafter.length)) for row in range(len(self.texts))]
        width = max(map(len, rows))
        padded = [row + [0] * (width - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64, device=self.device).view(len(rows), width)

    def _guess(self, row: int, most: int) -> list[int]:
        ending, found = self.texts[row][-self.drafter.order :], list[int]()
        while len(found) < most and not (found and found[-1] in self.ends):
            token = self._follower(self.followers[row], ending)
            if token < 0:
                break
            found.append(token)
            ending = [*ending, token][-self.drafter.order :]
        return found

    def _follower(self, followers: dict[tuple[int, ...], int], ending: Sequence[int]) -> int:
        """What follows the longest known part of `ending`, in this text before the training texts; -1: nothing."""
        keys = list(self._keys(ending))
        for count in range(len(ending), 0, -1):
            token = followers.get(tuple(ending[-count:]), -1)
            if token < 0 and count <= len(keys):
                token = int(self.table[count - 1][keys[count - 1]])
            if token >= 0:
                return token
        return -1

    def _keys(self, ending: Sequence[int]) -> list[int]:
        """The buckets of the endings of length 1, 2, ..., as far as there is a table and they are all ids."""
        key, found = 0, list[int]()
        for token in islice(reversed(ending), len(self.table)):
            if token < 0:
                break
            key = (key * _FACTOR + token + 2) % _MODULUS
            found.append(key % self.drafter.buckets)
        return found

    def accept(self, tokens: Tensor, counts: Sequence[int], hidden: Tensor) -> None:
        for row, (said, count) in enumerate(zip(tokens.tolist(), counts, strict=True)):
            self._read(row, said[:count])

    def select(self, rows: Tensor) -> None:
        self.texts = [self.texts[row] for row in rows.tolist()]
        self.followers = [self.followers[row] for row in rows.tolist()]
