"""A policy that samples in a process of its own, and is sent what each update changed of its weights."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.policy import LazyResponse, Policy
from stentor_align import rows
from stentor_align.rollout import SamplingSettings
from stentor_align.tasks import experience
from stentor_align.tasks.experience import Answers
from stentor_align.workers.process import Process, WorkerDied, on
from stentor_align.workers.settings import WorkerSettings


@dataclass(frozen=True, eq=False)
class _Asked:
    """A batch that was handed over, with what it takes to hand it over again."""

    number: int
    batch: dict[str, Any]
    settings: SamplingSettings
    options: dict[str, Any]


class SamplingProcess:
    """Answers batches with the weights that a policy has when it is asked.

    Args:
        policy: is copied when it is first asked, and followed from then on: what is trained of it is sent each time.
        settings: where.
    """

    def __init__(self, policy: Any, settings: WorkerSettings) -> None:
        self._policy, self.settings = policy, settings
        self._process: Process | None = None
        self._waiting: _Asked | None = None
        self._arrived: tuple[Any, ...] | None = None
        self._number = 0
        self._whole = False

    def begin(self, batch: Mapping[str, Any], settings: SamplingSettings, *, samples: int, seed: int | None) -> None:
        """Ask for responses to a batch; `finish` gives them. Arguments as for `experience.said`."""
        drawn = int(torch.randint(1 << 62, ())) if seed is None else seed  # as `rollout.sample` would draw it
        self._number += 1
        options = {"samples": samples, "seed": drawn, "precision": _precision(self._policy)}
        self._waiting = _Asked(self._number, dict(batch), settings, options)
        self._arrived = None
        self._again(self._hand_over)

    def finish(self) -> Answers:
        """What came of the last `begin`.

        Raises:
            StentorError: when the process ends from outside, and another one, too.
        """
        asked = self._waiting
        assert asked is not None
        prompts, made, told = self._arrived or self._again(self._take)
        self._waiting = self._arrived = None
        split = zip(prompts, rows.split(asked.batch), strict=True)
        answers = Answers([{**one, "row": row} for one, row in split], made, [])
        responses = [self._response(place, one, asked, answers) for place, one in enumerate(told)]
        return answers._replace(responses=responses)

    def close(self) -> None:
        """End the process; the next `begin` starts another."""
        if self._process is not None:
            self._process.close()
        self._process = self._waiting = self._arrived = None

    def _response(
        self, place: int, told: tuple[dict[str, Any], tuple[str, ...]], asked: _Asked, answers: Answers
    ) -> Mapping[str, Any]:
        ready, waiting = told
        later = {key: partial(self._later, place, key, asked, answers) for key in waiting}
        later |= {key: partial(_fail, value) for key, value in ready.items() if isinstance(value, _Failed)}
        return LazyResponse({key: value for key, value in ready.items() if key not in later}, later) if later else ready

    def _later(self, place: int, key: str, asked: _Asked, answers: Answers) -> Any:
        """A field that was not sent; from now on such fields are made and sent at once."""
        self._whole = True
        if self._waiting is not None and self._arrived is None:
            self._arrived = self._again(self._take)  # it answers in the order in which it was asked
        if self._process is not None and self._process.alive:
            there, value = self._process.call("later", asked.number, place, key)
            if there:
                return _fail(value) if isinstance(value, _Failed) else value
        with torch.no_grad():  # that process has moved on, and sound is the same wherever it is made
            meant = experience.meant(self._policy, asked.batch, self._policy.ask(asked.batch), answers.rollout)
        return meant.responses[place][key]

    def _again(self, work: Any) -> Any:
        """What `work` gives; where the process ends from outside it is tried once more, with a new one."""
        try:
            return work()
        except WorkerDied as died:
            warnings.warn(f"{died}; a new one samples this batch again.", stacklevel=3)
        try:
            if work == self._take:
                self._hand_over()
            return work()
        except WorkerDied as died:
            told = f"{died}, twice; set it to false to sample in the process that learns."
            raise StentorError(told, path="task.workers.rollout") from died

    def _hand_over(self) -> None:
        asked = self._waiting
        assert asked is not None
        changed = self._changed()
        batch = rows.placed(asked.batch, "cpu")
        self._started(asked.number).begin("said", changed, batch, asked.settings, whole=self._whole, **asked.options)

    def _take(self) -> Any:
        assert self._process is not None
        return self._process.finish()

    def _started(self, number: int) -> Process:
        if self._process is None or not self._process.alive:
            settings = self.settings
            given = _copied(self._policy), settings.rollout_device, number - 1
            self._process = Process(_Sampler, *given, threads=settings.threads, name="rollout")
            self._process.finish()
        return self._process

    def _changed(self) -> dict[str, Tensor]:
        if self._process is None or not self._process.alive:
            return {}
        return {name: one.detach().cpu() for name, one in self._policy.named_parameters() if one.requires_grad}


class _Sampler:
    """The policy in its process."""

    def __init__(self, copied: bytes, device: str, number: int) -> None:
        self.device = on(device, "task.workers.rollout_device")
        self.policy: Any = pickle.loads(copied).to(self.device).requires_grad_(False).eval()
        self._own = dict(self.policy.named_parameters())
        self._number = number
        self._kept: dict[int, Sequence[Mapping[str, Any]]] = {}

    @torch.no_grad()
    def said(
        self,
        changed: Mapping[str, Tensor],
        batch: Mapping[str, Any],
        settings: SamplingSettings,
        *,
        samples: int,
        seed: int,
        precision: torch.dtype | None,
        whole: bool,
    ) -> tuple[Any, ...]:
        for name, value in changed.items():
            self._own[name].copy_(value)
        self.policy.train()  # and back: it forgets what it copied of its weights
        self.policy.eval()
        policy: Policy = self.policy
        with torch.autocast(self.device.type, dtype=precision, enabled=precision is not None):
            placed = rows.placed(batch, self.device)
            found = experience.said(policy, placed, settings, samples=samples, seed=seed)
        self._number += 1
        # the responses before these may still be asked for, where they are scored while these are sampled
        self._kept = {self._number - 1: self._kept.get(self._number - 1, ()), self._number: found.responses}
        asked = [{key: value for key, value in one.items() if key != "row"} for one in found.asked]
        return asked, found.rollout.cpu(), [_told(one, whole) for one in found.responses]

    def later(self, number: int, place: int, key: str) -> tuple[bool, Any]:
        """Whether the response is still known, and its field."""
        responses = self._kept.get(number, ())
        return (True, _field(responses[place], key)) if place < len(responses) else (False, None)


@dataclass(frozen=True)
class _Failed:
    """Stands for a field that could not be made."""

    why: str


def _fail(failed: _Failed) -> Any:
    raise RuntimeError(failed.why)


def _told(response: Mapping[str, Any], whole: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    if isinstance(response, LazyResponse) and not whole:
        return {key: _cpu(value) for key, value in response.ready.items()}, response.waiting
    return {key: _field(response, key) for key in response}, ()


def _field(response: Mapping[str, Any], key: str) -> Any:
    try:
        return _cpu(response[key])
    except Exception as error:  # it costs the reward that reads it this sample, and nobody else anything
        return _Failed(f"{type(error).__name__}: {error}")


def _cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value


def _precision(policy: Any) -> torch.dtype | None:
    """What the process that learns computes in, where that is not what the weights are."""
    kind = next(policy.parameters()).device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def _copied(policy: Any) -> bytes:
    """A policy as bytes whose tensors lie on the CPU, so that they can be read where its own device is not wanted."""
    device = next(policy.parameters()).device
    try:
        return pickle.dumps(policy.cpu())
    finally:
        policy.to(device)
