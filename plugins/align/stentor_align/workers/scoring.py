"""A reward that scores in processes of its own."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from stentor.interfaces.policy import LazyResponse
from stentor.interfaces.reward import Reward, Scores
from stentor.train.assembly import build
from stentor_align.rewards import safety
from stentor_align.rewards.safety import Items
from stentor_align.workers.process import Process, WorkerDied, on
from stentor_align.workers.settings import WorkerSettings

_START = 120.0
"""Seconds that a process has to start and to read weights, where there is a time limit that is not longer."""


class ScoringProcesses(Reward):
    """A reward whose responses are shared out among processes, each of which has the whole reward.

    A process that takes too long, or dies, is ended and replaced; its share of the batch scores NaN. Fields of a
    response that are costly to make are made and sent only once the reward has read one of them.

    Args:
        section: of the reward.
        settings: how many processes, and where.
        timeout: seconds after which a batch is given up; 0: never.
    """

    def __init__(self, section: Mapping[str, Any], settings: WorkerSettings, *, timeout: float = 0.0) -> None:
        self.section, self.settings, self.timeout = dict(section), settings, timeout
        self.nature = build("reward", section, path="task.reward").nature  # type: ignore[misc]
        self._processes: list[Process | None] = [None] * settings.reward
        self._pretrained = self._whole = False

    def load_pretrained(self) -> dict[str, str]:
        self._pretrained = True
        self._start(len(self._processes))
        told: list[dict[str, str]] = [
            self._ready(place).call("load_pretrained") for place in range(len(self._processes))
        ]
        return told[0]

    def score(self, prompts: Items, responses: Items) -> Scores:
        shares = _shares(len(responses), len(self._processes))
        given = [[_sent(one, self._whole) for one in responses[share]] for share in shares]
        self._start(len(shares))
        begun = [self._begin(place, prompts[shares[place]], some) for place, some in enumerate(given)]
        until = time.monotonic() + self.timeout if self.timeout else None
        found: list[Scores] = []
        wanted = False
        for place, (some, failed) in enumerate(zip(given, begun, strict=True)):
            try:
                found.append(self._left_out(failed, some) if failed else self._finish(place, some, until))
            except Wanted:
                wanted = True
        if wanted:
            self._whole = True
            return self.score(prompts, responses)
        return safety.joined(found)

    def _begin(self, place: int, prompts: Items, responses: Items) -> str:
        """Hand out a share; why that cannot be done, or nothing."""
        limit = max(self.timeout, _START) if self.timeout else None
        try:
            self._ready(place, limit).begin("score", list(prompts), list(responses))
        except TimeoutError:
            self._end(place)
            return f"it takes more than {limit:g} s to start"
        except Exception as error:  # whatever a reward raises while it is built must not end a run
            self._end(place)
            return f"{type(error).__name__}: {error}"
        return ""

    def _finish(self, place: int, responses: Items, until: float | None) -> Scores:
        process = self._processes[place]
        assert process is not None
        try:
            return Scores(*process.finish(None if until is None else max(0.0, until - time.monotonic())))
        except (TimeoutError, WorkerDied) as error:
            self._end(place)
            late = f"it takes more than {self.timeout:g} s"
            return self._left_out(late if isinstance(error, TimeoutError) else str(error), responses)

    def _left_out(self, why: str, responses: Items) -> Scores:
        name, count = self.section["name"], len(responses)
        warnings.warn(f"reward '{name}': {why}; {count} samples are left out", stacklevel=2)
        return Scores(torch.full((count,), torch.nan), {})

    def _start(self, count: int) -> None:
        """Let the first `count` places have a process that lives; new ones start side by side."""
        for place in range(count):
            process = self._processes[place]
            if process is None or not process.alive:
                settings = self.settings
                given = self.section, settings.reward_device, self._pretrained
                self._processes[place] = Process(_Scorer, *given, threads=settings.threads, name=f"reward-{place}")

    def _ready(self, place: int, limit: float | None = None) -> Process:
        """The process at `place`, once it has what it needs; `limit` is in seconds."""
        process = self._processes[place]
        assert process is not None
        process.finish(limit)
        return process

    def _end(self, place: int) -> None:
        process, self._processes[place] = self._processes[place], None
        if process is not None:
            process.close()

    def close(self) -> None:
        """End all processes."""
        for place in range(len(self._processes)):
            self._end(place)


class Wanted(BaseException):
    """A reward reads a field that was not sent; no reward's own handling of errors must hide that."""


def _wanted(key: str) -> Any:
    raise Wanted(key)


class _Scorer:
    """The reward in its process."""

    def __init__(self, section: Mapping[str, Any], device: str, pretrained: bool) -> None:
        self._reward: Reward = build("reward", section, path="task.reward")
        self._reward.to(on(device, "task.workers.reward_device"))
        self._told = self._reward.load_pretrained() if pretrained else {}

    def load_pretrained(self) -> dict[str, str]:
        self._told = self._told or self._reward.load_pretrained()
        return self._told

    @torch.no_grad()
    def score(self, prompts: Items, responses: Items) -> tuple[Tensor, dict[str, Tensor]]:
        found = safety.score(self._reward, prompts, responses, name=type(self._reward).__name__)
        return found.total, {name: part.detach().cpu() for name, part in found.parts.items()}


def _sent(response: Mapping[str, Any], whole: bool) -> Mapping[str, Any]:
    if isinstance(response, LazyResponse) and not whole:
        later = {key: partial(_wanted, key) for key in response.waiting}
        return LazyResponse(response.ready, later) if later else response.ready
    return {key: response[key] for key in response}


def _shares(count: int, processes: int) -> list[slice]:
    """`count` responses in up to `processes` parts that differ by one at most; those to one prompt stay near."""
    parts = max(1, min(count, processes))
    bounds = [count * place // parts for place in range(parts + 1)]
    return [slice(start, end) for start, end in pairwise(bounds)]
