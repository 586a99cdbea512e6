"""Verifiable rewards for transcripts: error rates and keywords."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch

from stentor.config.reference import NameOf
from stentor.evaluate.alignment import align, tally
from stentor.evaluate.metrics import CharacterErrorRate, ErrorRate, WordErrorRate
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry

Items = Sequence[Mapping[str, Any]]
_KINDS = ("substitution", "insertion", "deletion")
_UNKNOWN = (math.nan, math.nan)


class WERReward(Reward):
    """One minus the word error rate, 0 from 100 % on.

    Reads ``reference`` of a prompt and ``text`` of a response; where either is missing the score is NaN. Parts are the
    uncapped ``rate`` and how many words were ``substituted``, ``inserted`` and ``deleted``. Against an empty reference
    every word is an error of its own.

    Args:
        normaliser: what counts as the same text; a registered normaliser.
    """

    nature = "verifiable"
    metric: ClassVar[type[ErrorRate]] = WordErrorRate

    def __init__(self, *, normaliser: Annotated[str, NameOf("normaliser")] = "english") -> None:
        self._metric = self.metric(normaliser=normaliser)

    def score(self, prompts: Items, responses: Items) -> Scores:
        pairs = zip(prompts, responses, strict=True)
        rows = [self._counted(_text(prompt, "reference"), _text(response, "text")) for prompt, response in pairs]
        rate, *counts = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4).unbind(1)
        parts = dict(zip(("substituted", "inserted", "deleted"), counts, strict=True))
        return Scores(1 - rate.clamp(max=1), {"rate": rate, **parts})

    def _counted(self, reference: str | None, output: str | None) -> tuple[float, ...]:
        """Rate, substitutions, insertions and deletions."""
        if reference is None or output is None:
            return (math.nan,) * 4
        tokens = self._metric.tokens(reference)
        counts = tally(align(tokens, self._metric.tokens(output)))
        errors = [float(counts[kind]) for kind in _KINDS]
        return (sum(errors) / max(1, len(tokens)), *errors)


class CERReward(WERReward):
    """One minus the character error rate, 0 from 100 % on; spaces between words count.

    Reads ``reference`` of a prompt and ``text`` of a response; where either is missing the score is NaN. Parts are the
    uncapped ``rate`` and how many characters were ``substituted``, ``inserted`` and ``deleted``.

    Args:
        normaliser: what counts as the same text; a registered normaliser.
    """

    metric = CharacterErrorRate


class KeywordReward(Reward):
    """The share of required phrases that a response says, less a penalty for the share of forbidden ones in it.

    Reads ``keywords`` and ``forbidden`` of a prompt, each a list of words or phrases or one phrase, and ``text`` of a
    response. A prompt without ``keywords`` requires the words of its ``reference``; one with none of the three, and a
    response without text, cannot be scored and get NaN. Parts are both shares, ``required`` and ``forbidden``. A phrase
    is said where its words stand together.

    Args:
        normaliser: what counts as the same text; a registered normaliser.
        penalty: for saying all that is forbidden.
    """

    nature = "verifiable"

    def __init__(self, *, normaliser: Annotated[str, NameOf("normaliser")] = "english", penalty: float = 1.0) -> None:
        self._normalise = registry().build("normaliser", normaliser)
        self.penalty = penalty

    def score(self, prompts: Items, responses: Items) -> Scores:
        pairs = zip(prompts, responses, strict=True)
        rows = [self._shares(prompt, _text(response, "text")) for prompt, response in pairs]
        required, forbidden = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2).unbind(1)
        return Scores(required - self.penalty * forbidden, {"required": required, "forbidden": forbidden})

    def _shares(self, prompt: Mapping[str, Any], output: str | None) -> tuple[float, float]:
        required, forbidden = self._phrases(prompt, "keywords"), self._phrases(prompt, "forbidden")
        if "keywords" not in prompt and (reference := _text(prompt, "reference")):
            required = sorted(set(self._normalise(reference).split()))
        if output is None or not (required or forbidden):
            return _UNKNOWN
        said = f" {self._normalise(output)} "
        return _share(required, said, 1.0), _share(forbidden, said, 0.0)

    def _phrases(self, prompt: Mapping[str, Any], key: str) -> list[str]:
        given = prompt.get(key) or ()
        phrases = [given] if isinstance(given, str) else given
        return [normal for phrase in phrases if (normal := self._normalise(phrase))]


def _share(phrases: Sequence[str], said: str, of_none: float) -> float:
    return sum(f" {phrase} " in said for phrase in phrases) / len(phrases) if phrases else of_none


def _text(item: Mapping[str, Any], key: str) -> str | None:
    found = item.get(key)
    return found if isinstance(found, str) else None
