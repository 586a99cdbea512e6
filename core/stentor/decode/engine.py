"""Generation: any backbone, a batch of prompts of different lengths, one cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.decode.sampler import Sampler
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.sequence.grammar import Grammar

Reason = Literal["stop", "length", "grammar", "callback"]
OnToken = Callable[[int, int], None]
Stop = Callable[[int, Sequence[int]], bool]


@dataclass(frozen=True)
class Generation:
    """What came out, one entry per prompt.

    Attributes:
        tokens: the generated ids, the stop id included.
        reasons: why each row ended: ``stop`` (a stop id), ``length``, ``grammar`` (it allowed no further token) or
            ``callback`` (the caller's stop function said so).
        log_probs: float32 [len(tokens[i])] per row, if the settings asked for them.
    """

    tokens: list[list[int]]
    reasons: list[Reason]
    log_probs: list[Tensor] | None = None


@torch.inference_mode()
def generate(
    backbone: Backbone,
    prompts: Sequence[Tensor],
    settings: GenerationSettings | None = None,
    *,
    grammar: Grammar[Any] | None = None,
    on_token: OnToken | None = None,
    stop: Stop | None = None,
) -> Generation:
    """Continue every prompt. A row's tokens do not depend on its neighbours; a finished row leaves the batch.

    Args:
        backbone: the model; dropout is off while generating.
        prompts: per row, embeddings float [T, dim] or ids int64 [T], T >= 1.
        settings: sampling and limits.
        grammar: which tokens may come next, with a state per row.
        on_token: called with (row, token) as soon as a token is chosen.
        stop: called with (row, tokens so far) after every token; True ends the row.

    Raises:
        StentorError: for an empty prompt, or a grammar over another vocabulary.
    """
    settings = settings or GenerationSettings()
    if not prompts:
        return Generation([], [], [] if settings.log_probs else None)
    training = backbone.training
    backbone.eval()
    try:
        return _Run(backbone, settings, len(prompts), grammar=grammar, on_token=on_token, stop=stop).all(
            _embedded(backbone, prompts)
        )
    finally:
        backbone.train(training)


def _embedded(backbone: Backbone, prompts: Sequence[Tensor]) -> list[Tensor]:
    empty = [row for row, prompt in enumerate(prompts) if len(prompt) == 0]
    if empty:
        raise StentorError(f"prompt {empty[0]} is empty; a prompt needs at least one position.")
    return [prompt if prompt.is_floating_point() else backbone.embed(prompt) for prompt in prompts]


class _Run:
    """One call of `generate`: the rows that are still going, and what they have said."""

    def __init__(
        self,
        backbone: Backbone,
        settings: GenerationSettings,
        rows: int,
        *,
        grammar: Grammar[Any] | None,
        on_token: OnToken | None,
        stop: Stop | None,
    ) -> None:
        self.backbone, self.settings, self.grammar = backbone, settings, grammar
        self.on_token, self.stop = on_token, stop
        self.sampler = Sampler(settings, rows)
        self.active = list(range(rows))
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self.log_probs: list[list[float]] = [[] for _ in range(rows)]
        self.reasons: list[Reason] = ["length"] * rows
        self.states = [grammar.start() for _ in range(rows)] if grammar else []
        self.ends = frozenset(settings.stop_ids)

    def all(self, prompts: list[Tensor]) -> Generation:
        lengths = [len(prompt) for prompt in prompts]
        cache = self.backbone.new_cache(len(prompts), max(lengths) + self.settings.max_new_tokens)
        inputs = pad_sequence(prompts, batch_first=True)
        ends = torch.tensor(lengths, device=inputs.device)
        mask = torch.arange(inputs.shape[1], device=inputs.device) < ends[:, None]
        hidden = self.backbone(inputs, mask=None if min(lengths) == max(lengths) else mask, cache=cache)
        hidden = hidden[torch.arange(len(prompts), device=inputs.device), ends - 1]
        while True:
            chosen, going = self._take(self.backbone.project(hidden))
            if not going:
                break
            if len(going) < len(chosen):
                kept = torch.tensor(going, device=chosen.device)
                chosen = chosen[kept]
                cache.select(kept)
            hidden = self.backbone(self.backbone.embed(chosen)[:, None], cache=cache)[:, -1]
        log_probs = [torch.tensor(row) for row in self.log_probs] if self.settings.log_probs else None
        return Generation(self.tokens, self.reasons, log_probs)

    def _take(self, logits: Tensor) -> tuple[Tensor, list[int]]:
        """Choose a token for every active row; returns the tokens and which rows (by place) go on."""
        if self.grammar is not None:
            if self.grammar.size != logits.shape[-1]:
                raise StentorError(f"the grammar is over {self.grammar.size} ids, the model has {logits.shape[-1]}.")
            allowed = torch.stack([self.grammar.allowed(self.states[row]) for row in self.active])
            masked = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
        else:
            masked = logits
        chosen = self.sampler.choose(masked, self.active, self.tokens)
        if self.settings.log_probs:
            taken = logits.gather(-1, chosen[:, None])[:, 0] - logits.logsumexp(-1)
            for row, value in zip(self.active, taken.tolist(), strict=True):
                self.log_probs[row].append(value)
        going = [place for place, token in enumerate(chosen.tolist()) if self._goes_on(self.active[place], token)]
        self.active = [self.active[place] for place in going]
        return chosen, going

    def _goes_on(self, row: int, token: int) -> bool:
        tokens = self.tokens[row]
        tokens.append(token)
        if self.on_token is not None:
            self.on_token(row, token)
        if self.grammar is not None:
            self.states[row] = self.grammar.advance(self.states[row], token)
        reason = self._reason(row, token)
        if reason:
            self.reasons[row] = reason
        return reason is None

    def _reason(self, row: int, token: int) -> Reason | None:
        if token in self.ends:
            return "stop"
        if self.stop is not None and self.stop(row, self.tokens[row]):
            return "callback"
        if self.grammar is not None and not self.grammar.allowed(self.states[row]).any():
            return "grammar"
        return "length" if len(self.tokens[row]) >= self.settings.max_new_tokens else None
