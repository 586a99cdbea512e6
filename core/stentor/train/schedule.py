"""Learning rate as a function of how much of the budget is spent, so that it needs no state of its own."""

from __future__ import annotations

import math

from stentor.train.settings import TrainSettings

_FLOOR = 0.01


def spent(settings: TrainSettings, steps: int, seconds: float) -> float:
    """Share of the budget that `steps` optimiser steps and `seconds` of training (s) have used, whichever is more."""
    by_steps = steps / settings.steps if settings.steps else 0.0
    by_time = seconds / (60 * settings.minutes) if settings.minutes else 0.0
    return max(by_steps, by_time)


def scale(settings: TrainSettings, share: float) -> float:
    """What the peak learning rate is multiplied with when `share` (0 to 1) of the budget is spent.

    Linear warm-up, then constant or half a cosine (Loshchilov and Hutter, arXiv 1608.03983) down to 1 %.
    """
    share = min(max(share, 0.0), 1.0)
    if share < settings.warmup:
        return max(_FLOOR, share / settings.warmup)
    if settings.schedule == "constant" or settings.warmup >= 1:
        return 1.0
    done = (share - settings.warmup) / (1 - settings.warmup)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
