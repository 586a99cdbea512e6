"""Greedy decoding of a batch of encoded windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stentor_asr.whisper.cached_decoder import CachedDecoder
from stentor_asr.whisper.rules import Rules, Specials, detect_languages


@dataclass
class Decoded:
    """What was decoded from one window.

    Attributes:
        no_speech: probability that nobody speaks.
        language: code, in a multilingual model.
        tokens: without prompt and end.
        scores: log-probability of each token.
        done: the end was said.
    """

    no_speech: float
    language: str | None = None
    tokens: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    done: bool = False

    @property
    def mean_score(self) -> float:
        """Mean log-probability of the tokens."""
        return math.fsum(self.scores) / max(1, len(self.scores))


def decode(model: Any, encoded: Tensor, rules: Rules, language: str | None = None) -> list[Decoded]:
    """Decode every row of `encoded` [B, T, D] with a ``transformers`` WhisperForConditionalGeneration.

    Args:
        model: the model; its encoder is not used.
        encoded: encoder frames.
        rules: what may be said.
        language: code; None detects it, row by row, where the model has more than one.
    """
    specials, limit = rules.specials, model.config.max_target_positions // 2
    decoder = CachedDecoder(model.model.decoder, model.proj_out, encoded, limit + 4)
    logits = decoder.step(encoded.new_full((len(encoded), 1), specials.start, dtype=torch.long))
    rows = [Decoded(chance) for chance in logits.softmax(-1)[:, specials.no_speech].tolist()]
    _set_languages(rows, logits, specials, language)
    found = list(rows)
    prompts = [_rest_of_prompt(row, rules) for row in rows]
    if prompts[0]:
        logits = decoder.step(torch.tensor(prompts, device=encoded.device))
    for _ in range(limit):
        best, tokens = rules.apply(logits, [row.tokens for row in rows]).max(-1)
        _take(rows, tokens.tolist(), best.tolist(), specials.end)
        going = [index for index, row in enumerate(rows) if not row.done]
        if not going:
            break
        if 2 * len(going) <= len(rows):
            decoder.keep(torch.tensor(going, device=encoded.device))
            rows, tokens = [rows[index] for index in going], tokens[going]
        logits = decoder.step(tokens[:, None])
    return found


def _set_languages(rows: list[Decoded], logits: Tensor, specials: Specials, language: str | None) -> None:
    if not specials.languages:
        return
    codes = [language] * len(rows) if language else detect_languages(logits, specials)
    for row, code in zip(rows, codes, strict=True):
        row.language = code


def _rest_of_prompt(row: Decoded, rules: Rules) -> list[int]:
    specials = rules.specials
    spoken = [specials.languages[row.language], specials.transcribe] if row.language else []
    return spoken if rules.timestamps else [*spoken, specials.no_timestamps]


def _take(rows: list[Decoded], tokens: list[int], scores: list[float], end: int) -> None:
    for row, token, score in zip(rows, tokens, scores, strict=True):
        if row.done:
            continue
        row.done = token == end
        if not row.done:
            row.tokens.append(token)
            row.scores.append(score)
