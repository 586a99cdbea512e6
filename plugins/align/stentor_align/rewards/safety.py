"""Scoring that goes on: a reward that raises, hangs or gives nonsense costs the samples concerned, no more."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stentor.interfaces.reward import Reward, Scores

Items = Sequence[Mapping[str, Any]]
PATIENCE = 600.0
"""Seconds that a reward has for a batch, unless a task says otherwise."""


def score(reward: Reward, prompts: Items, responses: Items, *, timeout: float = 0.0, name: str = "") -> Scores:
    """The scores of a reward, NaN for the samples on which it fails.

    A batch on which it raises is scored sample by sample; one that takes too long is given up as a whole. What was
    given up cannot be stopped, so while it still works nothing else is asked of that reward: later batches wait for it,
    as long as they would for their own scores, and are left out. Processes (`stentor_align.workers`) can be ended.

    Args:
        reward: scores.
        prompts: what was asked.
        responses: what came back.
        timeout: seconds after which a batch is given up; 0: never.
        name: of the reward, for the warning.
    """
    try:
        return _checked(within(timeout, lambda: reward.score(prompts, responses), who=reward), len(responses))
    except TimeoutError:
        warnings.warn(
            f"reward '{name}' takes more than {timeout:g} s; {len(responses)} samples are left out", stacklevel=2
        )
        return Scores(torch.full((len(responses),), torch.nan), {})
    except (Exception, SystemExit) as error:  # whatever a reward raises must not end a run
        if len(responses) > 1:
            pairs = zip(prompts, responses, strict=True)
            return joined([score(reward, [p], [r], timeout=timeout, name=name) for p, r in pairs])
        warnings.warn(f"reward '{name}' fails and a sample is left out: {type(error).__name__}: {error}", stacklevel=2)
        return Scores(torch.full((len(responses),), torch.nan), {})


def _checked(scores: Scores, count: int) -> Scores:
    for value in (scores.total, *scores.parts.values()):
        if value.shape != (count,):
            raise ValueError(f"it gives scores of shape {tuple(value.shape)} for {count} responses")
    total = scores.total.detach().float().cpu()
    return Scores(total.masked_fill(total.isinf(), torch.nan), scores.parts)


def joined(scores: Sequence[Scores]) -> Scores:
    """Scores of batches as those of one; a part that is missing in some is NaN there."""
    names = dict.fromkeys(name for one in scores for name in one.parts)

    def part(name: str) -> Tensor:
        return torch.cat([one.parts.get(name, torch.full_like(one.total, torch.nan)).float().cpu() for one in scores])

    return Scores(torch.cat([one.total for one in scores]), {name: part(name) for name in names})


_AT_WORK: dict[int, threading.Thread] = {}
"""By the identity of who does it: what was given up and has not come to its end. A thread keeps whom it works for."""


def within(seconds: float, work: Callable[[], Any], *, who: Any) -> Any:
    """What `work` gives, if it takes no longer; else it is left to itself, in a thread that dies with the process.

    Args:
        seconds: to wait; 0: as long as it takes.
        work: something to do.
        who: does it, one thing at a time.

    Raises:
        TimeoutError: when it takes longer, or when what was given up before does.
    """
    if not seconds:
        return work()
    until = time.monotonic() + seconds
    before = _AT_WORK.get(id(who))
    if before is not None:
        before.join(seconds)
        if before.is_alive():
            raise TimeoutError
    found: list[Any] = []
    failed: list[BaseException] = []
    grad = torch.is_grad_enabled()

    def run() -> None:
        try:
            with torch.set_grad_enabled(grad):  # each thread has its own mode
                found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = _AT_WORK[id(who)] = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, until - time.monotonic()))
    if thread.is_alive():
        raise TimeoutError
    _AT_WORK.pop(id(who), None)
    if failed:
        raise failed[0]
    return found[0]
