"""Which tokens Whisper may say next: fixed bans, the order of timestamps, no n-gram again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TIME_STEP = 0.02
"""Seconds from one timestamp token to the next."""


@dataclass(frozen=True)
class Specials:
    """The special ids of a Whisper vocabulary.

    Attributes:
        end: ``<|endoftext|>``; ids below it are text.
        start: ``<|startoftranscript|>``.
        no_timestamps: ``<|notimestamps|>``; timestamps follow it, 0.00 s first.
        no_speech: ``<|nocaptions|>`` or ``<|nospeech|>``.
        languages: code -> id; empty in an English-only model.
        transcribe: ``<|transcribe|>``.
        banned: never said.
        banned_first: not said first.
    """

    end: int
    start: int
    no_timestamps: int
    no_speech: int
    languages: dict[str, int]
    transcribe: int
    banned: tuple[int, ...]
    banned_first: tuple[int, ...]

    @property
    def first_time(self) -> int:
        """The id of 0.00 s."""
        return self.no_timestamps + 1


@dataclass(frozen=True)
class Rules:
    """What a decoding run allows.

    Attributes:
        specials: the ids.
        timestamps: segment times are decoded (Radford et al. 2022, section 2.3).
        first_latest: the latest time that may come first (s).
        no_repeat: an n-gram of this many tokens is not said twice; 0 allows it.
    """

    specials: Specials
    timestamps: bool = True
    first_latest: float = 1.0
    no_repeat: int = 0

    def apply(self, logits: Tensor, said: Sequence[Sequence[int]]) -> Tensor:
        """Log-probabilities [B, V] of `logits` [B, V] in place, with what is not allowed at minus infinity.

        Args:
            logits: of the next token.
            said: the tokens so far of every row, without the prompt.
        """
        never = float("-inf")
        logits[:, list(self.specials.banned)] = never
        for row, tokens in zip(logits, said, strict=True):
            if not tokens:
                row[list(self.specials.banned_first)] = never
            if self.no_repeat:
                row[_completing(tokens, self.no_repeat)] = never
            if self.timestamps:
                self._order(row, tokens)
        if not self.timestamps:
            logits[:, self.specials.no_timestamps :] = never
            return logits.log_softmax(-1)
        scores = logits.log_softmax(-1)
        first = self.specials.first_time
        timely = scores[:, first:].logsumexp(-1) > scores[:, :first].amax(-1)
        scores[timely, :first] = never
        return scores

    def _order(self, row: Tensor, tokens: Sequence[int]) -> None:
        """Timestamps come in pairs around text, and never go back."""
        never, first = float("-inf"), self.specials.first_time
        row[self.specials.no_timestamps] = never
        if not tokens:
            row[:first] = never
            row[first + round(self.first_latest / TIME_STEP) + 1 :] = never
            return
        last_timed = tokens[-1] >= first
        paired = len(tokens) < 2 or tokens[-2] >= first
        if last_timed and paired:
            row[first:] = never
        elif last_timed:
            row[: self.specials.end] = never
        times = [token for token in tokens if token >= first]
        if times:
            row[first : times[-1] + (0 if last_timed and not paired else 1)] = never


def _completing(tokens: Sequence[int], size: int) -> list[int]:
    """Ids that would complete an n-gram of `size` that is in `tokens` already."""
    if len(tokens) < size:
        return []
    recent = list(tokens[-(size - 1) :])
    return [tokens[at + size - 1] for at in range(len(tokens) - size + 1) if list(tokens[at : at + size - 1]) == recent]


def detect_languages(logits: Tensor, specials: Specials) -> list[str]:
    """The likeliest language of each row, from the logits [B, V] after ``<|startoftranscript|>``."""
    codes = sorted(specials.languages)
    best = logits[:, torch.tensor([specials.languages[code] for code in codes], device=logits.device)].argmax(-1)
    return [codes[index] for index in best.tolist()]
