"""One generation: the rows that are still going, and what they have said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.decode.generation import Generation, OnToken, Reason, Stop
from stentor.decode.sampler import Sampler
from stentor.decode.settings import GenerationSettings
from stentor.decode.statistics import DecodingStatistics
from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.sequence.grammar import Grammar


class Run:
    """One call of `generate`, one token per pass."""

    extra = 0
    """Positions that a row's cache needs beyond its longest text."""

    def __init__(
        self,
        backbone: Backbone,
        settings: GenerationSettings,
        rows: int,
        *,
        grammar: Grammar[Any] | Sequence[Grammar[Any]] | None,
        on_token: OnToken | None,
        stop: Stop | None,
    ) -> None:
        self.backbone, self.settings = backbone, settings
        self.on_token, self.stop = on_token, stop
        self.grammars = _each(grammar, rows, settings.samples)
        rows *= settings.samples
        self.sampler = Sampler(settings, rows)
        self.active = list(range(rows))
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self.log_probs: list[list[float]] = [[] for _ in range(rows)]
        self.reasons: list[Reason] = ["length"] * rows
        self.states = [one.start() for one in self.grammars]
        self.ends = frozenset(settings.stop_ids)
        self._mask: Tensor | None = None
        self._forbidden: Tensor | None = None

    def all(self, prompts: list[Tensor]) -> Generation:
        """Generate until no row goes on; `prompts` are embeddings [T, dim]."""
        for _ in self.steps(prompts):
            pass
        return self._generation()

    def steps(self, prompts: list[Tensor]) -> Iterator[list[tuple[int, int]]]:
        """The same, pass by pass: the (row, token) pairs that each one gives."""
        cache, _, hidden = self._prefill(prompts)
        ends = torch.tensor([len(prompt) for prompt in prompts], device=hidden.device)
        hidden = hidden[torch.arange(len(prompts), device=hidden.device), ends - 1]
        if self.settings.samples > 1:
            copies = torch.arange(len(prompts), device=hidden.device).repeat_interleave(self.settings.samples)
            cache.select(copies)
            hidden = hidden[copies]
        while True:
            rows = self.active
            chosen, going = self._take(self.backbone.project(hidden))
            yield list(zip(rows, chosen.tolist(), strict=True))
            if not going:
                return
            if len(going) < len(chosen):
                kept = torch.tensor(going, device=chosen.device)
                chosen = chosen[kept]
                cache.select(kept)
            hidden = self.backbone(self.backbone.embed(chosen)[:, None], cache=cache)[:, -1]

    def _prefill(self, prompts: list[Tensor]) -> tuple[Any, Tensor, Tensor]:
        """The cache after the prompts, their embeddings [B, T, dim] and hidden states [B, T, dim], right-padded."""
        lengths = [len(prompt) for prompt in prompts]
        cache = self.backbone.new_cache(len(prompts), max(lengths) + self.settings.max_new_tokens + self.extra)
        inputs = pad_sequence(prompts, batch_first=True)
        mask = None
        if min(lengths) < max(lengths):
            ends = torch.tensor(lengths, device=inputs.device)
            mask = torch.arange(inputs.shape[1], device=inputs.device) < ends[:, None]
        return cache, inputs, self.backbone(inputs, mask=mask, cache=cache)

    def _generation(self) -> Generation:
        log_probs = [torch.tensor(row) for row in self.log_probs] if self.settings.log_probs else None
        return Generation(self.tokens, self.reasons, log_probs, self._statistics())

    def _statistics(self) -> DecodingStatistics:
        found = DecodingStatistics()
        for tokens in self.tokens:
            found.plain_row(len(tokens))
        return found

    def _take(self, logits: Tensor) -> tuple[Tensor, list[int]]:
        """Choose a token for every active row; returns the tokens and which rows (by place) go on."""
        masked = logits
        if self.grammars:
            masked = self._allowed_only(logits, [self.grammars[row].allowed(self.states[row]) for row in self.active])
        chosen = self.sampler.choose(masked, self.active, self.tokens)
        if self.settings.log_probs:
            for_whom = masked / (self.settings.temperature or 1) if self.settings.log_probs == "policy" else logits
            taken = for_whom.gather(-1, chosen[:, None])[:, 0] - for_whom.logsumexp(-1)
            for row, value in zip(self.active, taken.tolist(), strict=True):
                self.log_probs[row].append(value)
        going = [place for place, token in enumerate(chosen.tolist()) if self._goes_on(self.active[place], token)]
        self.active = [self.active[place] for place in going]
        return chosen, going

    def _allowed_only(self, logits: Tensor, allowed: Sequence[Tensor]) -> Tensor:
        """The logits [..., V] with -inf where the grammar forbids a token; `allowed` are masks of all leading places.

        A grammar that allows the same ids everywhere gives the same mask every time, which is then prepared once.
        """
        if allowed[0].shape[-1] != logits.shape[-1]:
            raise StentorError(f"the grammar is over {allowed[0].shape[-1]} ids, the model has {logits.shape[-1]}.")
        first = allowed[0]
        if any(mask is not first for mask in allowed):
            forbidden = ~torch.stack(list(allowed)).to(logits.device).view(logits.shape)
            return logits.masked_fill(forbidden, -torch.inf)
        if self._forbidden is None or first is not self._mask:
            self._mask, self._forbidden = first, ~first.to(logits.device)
        return logits.masked_fill(self._forbidden, -torch.inf)

    def _goes_on(self, row: int, token: int) -> bool:
        tokens = self.tokens[row]
        tokens.append(token)
        if self.on_token is not None:
            self.on_token(row, token)
        if self.grammars:
            self.states[row] = self.grammars[row].advance(self.states[row], token)
        reason = self._reason(row, token)
        if reason:
            self.reasons[row] = reason
        return reason is None

    def _reason(self, row: int, token: int) -> Reason | None:
        if token in self.ends:
            return "stop"
        if self.stop is not None and self.stop(row, self.tokens[row]):
            return "callback"
        if self.grammars and not self.grammars[row].allowed(self.states[row]).any():
            return "grammar"
        return "length" if len(self.tokens[row]) >= self.settings.max_new_tokens else None


def _each(grammar: Grammar[Any] | Sequence[Grammar[Any]] | None, prompts: int, samples: int) -> list[Grammar[Any]]:
    """The grammar of every continuation; none at all where there is none."""
    if grammar is None or isinstance(grammar, Grammar):
        return [] if grammar is None else [grammar] * (prompts * samples)
    if len(grammar) != prompts:
        raise StentorError(f"{prompts} prompts need a grammar each, not {len(grammar)}.")
    return [one for one in grammar for _ in range(samples)]
