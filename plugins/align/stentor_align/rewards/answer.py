"""Reward ``answer``: a question has one right answer, and a response gives it or does not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import torch

from stentor.config.reference import NameOf
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor_align.rewards.safety import Items
from stentor_align.rewards.thoughts import tags


class AnswerReward(Reward):
    """1 for a response that gives the right answer, else 0: the verifiable reward of Step-Audio 2's last stage.

    What is behind the thought (arXiv 2507.16632, section on reinforcement learning) has to match `pattern` as a whole,
    so that saying every answer that there is gives none; what its first group holds is the answer. Reads ``answer`` of
    a prompt, a text or a list of texts that are all right, in place of a missing one its ``reference``, and ``text`` of
    a response; without either the score is NaN. The part ``readable`` says whether the pattern matches.

    Args:
        pattern: regular expression with a group for the answer.
        normaliser: what counts as the same text; a registered normaliser.
        opening: what a thought begins with.
        closing: what it ends with.
    """

    nature = "verifiable"

    def __init__(
        self,
        *,
        pattern: str = "(.*)",
        normaliser: Annotated[str, NameOf("normaliser")] = "basic",
        opening: str = "<think>",
        closing: str = "</think>",
    ) -> None:
        try:
            self._pattern = re.compile(pattern, re.DOTALL)
        except re.error as cause:
            raise StentorError(f"this is no regular expression: {cause}.", path="pattern", value=pattern) from cause
        if not self._pattern.groups:
            raise StentorError("it needs a group, (...), that holds the answer.", path="pattern", value=pattern)
        self._normalise = registry().build("normaliser", normaliser)
        self._tags = tags(opening, closing)

    def score(self, prompts: Items, responses: Items) -> Scores:
        rows = [self._judged(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        right, readable = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2).unbind(1)
        return Scores(right, {"readable": readable})

    def _judged(self, prompt: Mapping[str, Any], response: Mapping[str, Any]) -> tuple[float, float]:
        text, known = response.get("text"), prompt.get("answer", prompt.get("reference"))
        wanted = known if isinstance(known, list | tuple) else [known]
        if not isinstance(text, str) or not wanted or not all(isinstance(one, str) for one in wanted):
            return math.nan, math.nan
        behind = self._tags.split(text)
        found = None if behind is None else self._pattern.fullmatch(behind[1])
        if found is None:
            return 0.0, 0.0
        said = self._normalise(found.group(1) or "")
        return float(said in {self._normalise(one) for one in wanted}), 1.0
