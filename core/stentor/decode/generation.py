"""What a generation gives, and what may listen to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from stentor.decode.statistics import DecodingStatistics

Reason = Literal["stop", "length", "grammar", "callback"]
OnToken = Callable[[int, int], None]
Stop = Callable[[int, Sequence[int]], bool]


@dataclass(frozen=True)
class Generation:
    """What came out, one entry per prompt, or per continuation where the settings ask for several `samples`.

    Attributes:
        tokens: the generated ids, the stop id included.
        reasons: why each row ended: ``stop`` (a stop id), ``length``, ``grammar`` (it allowed no further token) or
            ``callback`` (the caller's stop function said so).
        log_probs: float32 [len(tokens[i])] per row, if the settings asked for them.
        statistics: passes of the backbone, and what became of drafts.
    """

    tokens: list[list[int]]
    reasons: list[Reason]
    log_probs: list[Tensor] | None = None
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics, compare=False)
