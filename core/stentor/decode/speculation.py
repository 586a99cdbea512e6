"""Draft and verify: several tokens per pass of the backbone, the same tokens as one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stentor.decode.generation import Generation
from stentor.decode.run import Run
from stentor.decode.statistics import DecodingStatistics
from stentor.interfaces.drafter import Draft, Drafter, Prefilled


class Speculation(Run):
    """A greedy run whose every pass verifies what a drafter proposed (Leviathan et al. 2023, arXiv 2211.17192).

    A pass sees each row's last token and k proposed ones. What it would have chosen after each of them is compared with
    the proposal: tokens are taken up to the first that differs, that one included in the backbone's own version. The
    cache is rolled back to what was taken. Rows may take different numbers.

    Args:
        run: what `Run` takes.
        drafter: proposes.
        ids: the prompts' ids, int64 [T] per row, -1 where there is none.
    """

    def __init__(self, *run: Any, drafter: Drafter, ids: Sequence[Tensor], **options: Any) -> None:
        super().__init__(*run, **options)
        self.drafter, self.ids, self.extra = drafter, ids, drafter.length
        self.rounds: list[list[tuple[int, int]]] = [[] for _ in self.tokens]

    def all(self, prompts: list[Tensor]) -> Generation:
        cache, inputs, hidden = self._prefill(prompts)
        held = [len(prompt) for prompt in prompts]
        ends = torch.tensor(held, device=hidden.device)
        last = hidden[torch.arange(len(prompts), device=hidden.device), ends - 1]
        chosen, going = self._take(self.backbone.project(last))
        if not going:
            return self._generation()
        if len(going) < len(prompts):
            kept = torch.tensor(going, device=chosen.device)
            cache.select(kept)
            inputs, hidden, chosen = inputs[kept], hidden[kept], chosen[kept]
            held = [held[place] for place in going]
        ids = [self.ids[row] for row in self.active]
        capacity = max(held) + self.settings.max_new_tokens + self.extra
        draft = self.drafter.start(Prefilled(inputs, held, hidden, ids, chosen, capacity, self.ends))
        self._rounds(cache, draft, held, chosen)
        return self._generation()

    def _rounds(self, cache: Any, draft: Draft, held: list[int], chosen: Tensor) -> None:
        """Draft and verify until no row goes on.

        Args:
            cache: of the backbone.
            draft: the drafter's memory.
            held: positions that the cache holds of each row.
            chosen: int64 [B], the token that follows them.
        """
        while True:
            proposed = draft.propose(min(self.drafter.length, self._room()))
            hidden = self.backbone(self.backbone.embed(torch.cat([chosen[:, None], proposed], 1)), cache=cache)
            tokens, counts, going = self._verify(self.backbone.project(hidden), proposed)
            if not going:
                return
            if len(going) < len(tokens):
                kept = torch.tensor(going, device=tokens.device)
                cache.select(kept)
                draft.select(kept)
                tokens, hidden = tokens[kept], hidden[kept]
                held, counts = [held[place] for place in going], [counts[place] for place in going]
            held = [length + count for length, count in zip(held, counts, strict=True)]
            cache.truncate(torch.tensor(held))
            draft.accept(tokens, counts, hidden)
            last = torch.tensor(counts, device=tokens.device)[:, None] - 1
            chosen = tokens.gather(1, last)[:, 0]

    def _room(self) -> int:
        """Tokens that a draft may add before every row has reached its limit: the pass itself adds one more."""
        return self.settings.max_new_tokens - 1 - min(len(self.tokens[row]) for row in self.active)

    def _verify(self, logits: Tensor, proposed: Tensor) -> tuple[Tensor, list[int], list[int]]:
        """Take what holds of a proposal.

        Args:
            logits: float [B, 1 + k, V], after each row's last token and each of the proposed ones.
            proposed: int64 [B, k].

        Returns:
            The chosen tokens [B, 1 + k], how many of them each row took, and which rows (by place) go on.
        """
        guesses = proposed.tolist()
        chosen = self._choices(logits, guesses)
        log_probs = None
        if self.settings.log_probs:
            log_probs = (logits.gather(-1, chosen[..., None])[..., 0] - logits.logsumexp(-1)).tolist()
        counts, going = [], []
        for place, (row, guess, tokens) in enumerate(zip(self.active, guesses, chosen.tolist(), strict=True)):
            count, goes_on = self._accept(row, guess, tokens)
            counts.append(count)
            self.rounds[row].append((len(guess), count))
            if log_probs is not None:
                self.log_probs[row] += log_probs[place][:count]
            if goes_on:
                going.append(place)
        self.active = [self.active[place] for place in going]
        return chosen, counts, going

    def _accept(self, row: int, guess: list[int], tokens: list[int]) -> tuple[int, bool]:
        """How many of the chosen `tokens` row `row` takes, and whether it goes on."""
        count = 0
        while True:
            token = tokens[count]
            count += 1
            goes_on = self._goes_on(row, token)
            if not goes_on or guess[count - 1 : count] != [token]:
                return count, goes_on

    def _choices(self, logits: Tensor, guesses: list[list[int]]) -> Tensor:
        """The token [B, 1 + k] that each place's logits choose, had the guesses before it been right."""
        if self.grammars:
            allowed = [mask for row, guess in zip(self.active, guesses, strict=True) for mask in self._path(row, guess)]
            logits = self._allowed_only(logits, allowed)
        if self.settings.repetition_penalty == 1:
            return logits.argmax(-1)
        pairs = zip(self.active, guesses, strict=True)
        said = [[*self.tokens[row], *guess[:count]] for row, guess in pairs for count in range(len(guess) + 1)]
        return self.sampler.choose(logits.flatten(0, 1), range(len(said)), said).view(logits.shape[:2])

    def _path(self, row: int, guess: list[int]) -> list[Tensor]:
        """The grammar's masks along a guess; from the first forbidden token on nothing can be taken, so any will do."""
        grammar, state = self.grammars[row], self.states[row]
        masks = [grammar.allowed(state)]
        for token in guess:
            if masks[-1][token]:
                state = grammar.advance(state, token)
                masks.append(grammar.allowed(state))
            else:
                break
        return masks + masks[-1:] * (1 + len(guess) - len(masks))

    def _statistics(self) -> DecodingStatistics:
        found = DecodingStatistics()
        for tokens, rounds in zip(self.tokens, self.rounds, strict=True):
            found.row(len(tokens), rounds)
        return found
