"""A policy that samples in a process of its own, and is sent what each update changed of its weights."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stentor.interfaces.policy import LazyResponse, Policy
from stentor_align import rows
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks import experience
from stentor_align.tasks.experience import Answers
from stentor_align.workers.process import Process, on
from stentor_align.workers.settings import WorkerSettings


class SamplingProcess:
    """Answers batches with the weights that a policy has when it is asked.

    Args:
        policy: is copied when it is first asked, and followed from then on: what is trained of it is sent each time.
        settings: where.
    """

    def __init__(self, policy: Any, settings: WorkerSettings) -> None:
        self._policy, self.settings = policy, settings
        self._process: Process | None = None
        self._waiting: dict[str, Any] | None = None
        self._number = 0
        self._whole = False

    def begin(self, batch: Mapping[str, Any], settings: SamplingSettings, *, samples: int, seed: int | None) -> None:
        """Ask for responses to a batch; the next call is `finish`. Arguments as for `experience.said`."""
        drawn = int(torch.randint(1 << 62, ())) if seed is None else seed  # as `rollout.sample` would draw it
        changed = self._changed()
        self._number += 1
        self._waiting = dict(batch)
        options = {"samples": samples, "seed": drawn, "whole": self._whole}
        self._started().begin("said", changed, rows.placed(batch, "cpu"), settings, **options)

    def finish(self) -> Answers:
        """What came of the last `begin`."""
        batch, self._waiting = self._waiting, None
        assert batch is not None and self._process is not None
        asked, made, told = self._process.finish()
        told = [
            LazyResponse(ready, {key: partial(self._later, self._number, place, key) for key in waiting})
            if waiting
            else ready
            for place, (ready, waiting) in enumerate(told)
        ]
        return Answers([{**one, "row": row} for one, row in zip(asked, rows.split(batch), strict=True)], made, told)

    def close(self) -> None:
        """End the process; the next `begin` starts another."""
        if self._process is not None:
            self._process.close()
        self._process = self._waiting = None

    def _later(self, number: int, place: int, key: str) -> Any:
        """A field that was not sent; from now on such fields are made and sent at once."""
        self._whole = True
        assert self._process is not None
        return self._process.call("later", number, place, key)

    def _started(self) -> Process:
        if self._process is None or not self._process.alive:
            settings = self.settings
            copied = pickle.dumps(self._policy)
            self._process = Process(
                _Sampler, copied, settings.rollout_device, self._number - 1, threads=settings.threads, name="rollout"
            )
            self._process.finish()
        return self._process

    def _changed(self) -> dict[str, Tensor]:
        if self._process is None or not self._process.alive:
            return {}
        return {name: one.detach().cpu() for name, one in self._policy.named_parameters() if one.requires_grad}


class Coming:
    """Answers that are on their way, or are here and wait for their turn.

    Args:
        batch: that they answer.
        process: samples them; None: they are here.
        made: what came of it.
    """

    def __init__(self, batch: dict[str, Any], process: SamplingProcess | None, *, made: Rollout | None = None) -> None:
        self.batch, self._process, self._made = batch, process, made
        self._answers: Answers | None = None

    def answers(self, policy: Policy) -> Answers:
        """Wait for them.

        Args:
            policy: says what tokens mean that a checkpoint kept.
        """
        if self._answers is None and self._made is not None:
            with torch.no_grad():
                self._answers = experience.meant(policy, self.batch, policy.ask(self.batch), self._made)
        elif self._answers is None:
            assert self._process is not None
            self._answers = self._process.finish()
        return self._answers

    def state(self, policy: Policy) -> dict[str, Any]:
        """What a checkpoint keeps: plain data and tensors."""
        return {"batch": self.batch, "rollout": self.answers(policy).rollout.state()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Coming:
        """What `state` gave."""
        return cls(dict(state["batch"]), None, made=Rollout(**state["rollout"]))


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
        whole: bool,
    ) -> tuple[Any, ...]:
        for name, value in changed.items():
            self._own[name].copy_(value)
        self.policy.train()  # and back: it forgets what it copied of its weights
        self.policy.eval()
        policy: Policy = self.policy
        placed = rows.placed(batch, self.device)
        found = experience.said(policy, placed, settings, samples=samples, seed=seed)
        self._number += 1
        # the responses before these may still be asked for, where they are scored while these are sampled
        self._kept = {self._number - 1: self._kept.get(self._number - 1, ()), self._number: found.responses}
        asked = [{key: value for key, value in one.items() if key != "row"} for one in found.asked]
        return asked, found.rollout.cpu(), [_told(one, whole) for one in found.responses]

    def later(self, number: int, place: int, key: str) -> Any:
        return _cpu(self._kept[number][place][key])


def _told(response: Mapping[str, Any], whole: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    if isinstance(response, LazyResponse) and not whole:
        return {key: _cpu(value) for key, value in response.ready.items()}, response.waiting
    return {key: _cpu(response[key]) for key in response}, ()


def _cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value
