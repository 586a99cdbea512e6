"""When a draft is long enough: what would follow is of no use, or most likely wrong."""

from __future__ import annotations

import math
from collections.abc import Collection

from torch import Tensor


class Patience:
    """Follows a draft of B rows token by token.

    Args:
        batch: B.
        ends: ids that end a row.
        confidence: a row is given up once the probability of its draft, by the drafter's own account, falls below
            this; 0 never gives up.
        ids: int64 [V], what the drafter's logits are for; None: the whole vocabulary.
    """

    def __init__(self, batch: int, ends: Collection[int], confidence: float, ids: Tensor | None = None) -> None:
        self.ends, self.ids = ends, ids
        self.least = math.log(confidence) if confidence else -math.inf
        self.open = [True] * batch
        self.sure = [0.0] * batch

    def choose(self, logits: Tensor) -> Tensor:
        """The next drafted tokens int64 [B] of logits [B, V]."""
        if self.least == -math.inf:
            chosen = logits.argmax(-1)
        else:
            best, chosen = logits.max(-1)
            gained = (best - logits.logsumexp(-1)).tolist()
            self.sure = [sure + gain for sure, gain in zip(self.sure, gained, strict=True)]
        if self.ids is not None:
            chosen = self.ids[chosen]
        if self.ends or self.least > -math.inf:
            rows = zip(self.open, chosen.tolist(), self.sure, strict=True)
            self.open = [was and token not in self.ends and sure >= self.least for was, token, sure in rows]
        return chosen

    @property
    def over(self) -> bool:
        """Whether no row is worth a further token."""
        return not any(self.open)
