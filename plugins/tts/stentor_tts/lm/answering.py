"""The speaking model as a policy: texts are prompts, codes are responses; sound is made when a reward asks for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.policy import LazyResponse, Policy, Prompts, asked_of
from stentor.model.speech_lm import SpeechLM
from stentor_tts.inventory import Inventory
from stentor_tts.lm.cloning import Examples
from stentor_tts.lm.request import Request
from stentor_tts.lm.request import of_batch as requests_of
from stentor_tts.lm.speaking import Said, Speech

_TOGETHER = 16
"""Responses that are made to sound at a time."""


@dataclass(frozen=True, eq=False)
class SpokenPrompts(Prompts):
    """Prompts that are to be said.

    Attributes:
        requests: what each of them asks; None where it cannot be said.
    """

    requests: Sequence[Request | None] = ()

    def repeated(self, rows: Sequence[int]) -> Self:
        return replace(super().repeated(rows), requests=[self.requests[row] for row in rows])


class _Sound:
    """The waveforms of some responses, made together when one of them is first asked for."""

    def __init__(self, policy: SpeakingPolicy, requests: Sequence[Request | None], said: Sequence[Said]) -> None:
        self._policy, self._requests, self._said = policy, requests, said
        self._waves: list[Tensor] | None = None

    def __getitem__(self, place: int) -> Tensor:
        if self._waves is None:
            self._waves = self._made()
        return self._waves[place]

    def _made(self) -> list[Tensor]:
        pairs = zip(self._requests, self._said, strict=True)
        asked = {place: (request, one) for place, (request, one) in enumerate(pairs) if request is not None}
        waves = [torch.zeros(0) for _ in self._said]
        if asked:
            requests, said = zip(*asked.values(), strict=True)
            for place, wave in zip(asked, self._policy.aloud(requests, said), strict=True):
                waves[place] = wave
        return waves


class SpeakingPolicy(Policy):
    """What `stentor_tts.lm.task.SpeakingLM` is to those who tune it.

    A row asks what it asks of `SpeakingLM.synthesise`, but for tags that the model does not know, which are left out. A
    row that has no word that can be said, or whose example of a voice cannot be heard, may only be answered by nothing
    at all, which no reward for speech can score. By word, the text of a word whose turn has come is part of the
    response: the grammar gives it outright, so that it is certain and bears no loss.
    """

    hears: ClassVar[bool] = False
    inventory: Inventory
    speech: Speech
    examples: Examples
    model: SpeechLM

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Of what is said (Hz)."""

    @abstractmethod
    def aloud(self, requests: Sequence[Request], said: Sequence[Said]) -> list[Tensor]:
        """Waveforms float [N] of what was said."""

    @property
    def backbone(self) -> Backbone:
        return self.model.backbone

    def ask(self, batch: Mapping[str, Any]) -> SpokenPrompts:
        told, customs = asked_of(batch), batch.get("custom") or [{} for _ in batch["texts"]]
        requests: list[Request | None] = []
        plans = []
        for asks, custom in zip(requests_of(batch, self.inventory, lenient=True), customs, strict=True):
            try:
                request = replace(asks, prompt=self.examples.of_row(custom, self.device))
                plans.append(self.speech.plan(request))
                requests.append(request)
            except StentorError:
                plans.append(self.speech.silence())
                requests.append(None)
        asked = [
            {**one, "reference": one["reference"] or ("" if request is None else request.marked.text)}
            for one, request in zip(told, requests, strict=True)
        ]
        embeddings = [self.backbone.embed(plan.prompt.to(self.device)) for plan in plans]
        longest, grammars = [plan.most for plan in plans], [plan.grammar for plan in plans]
        return SpokenPrompts(embeddings, asked, longest, grammars, (self.speech.end,), requests)

    def tokens_of(self, response: Mapping[str, Any]) -> list[int]:
        if "tokens" not in response:
            raise StentorError("a spoken response needs 'tokens'; its text does not tell how it was said.")
        return list(response["tokens"])

    def responses(
        self, prompts: Prompts, rows: Sequence[int], tokens: Sequence[Sequence[int]]
    ) -> list[Mapping[str, Any]]:
        asked = prompts.requests if isinstance(prompts, SpokenPrompts) else [None] * len(prompts)
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(rows), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            said = [self.speech.said(list(one)) for one in tokens[some]]
            sound = _Sound(self, [asked[row] for row in rows[some]], said)
            told = [
                {"text": prompts.asked[row]["reference"], "tokens": one.tokens, "sample_rate": self.sample_rate}
                for row, one in zip(rows[some], said, strict=True)
            ]
            found += [LazyResponse(one, {"audio": partial(sound.__getitem__, place)}) for place, one in enumerate(told)]
        return found
