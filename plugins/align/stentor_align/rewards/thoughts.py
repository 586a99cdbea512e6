"""Verifiable rewards on how a response is laid out: its format, and the length of the thought that it begins with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor_align.rewards.safety import Items


@dataclass(frozen=True)
class Tags:
    """What a thought stands between, at the beginning of a response."""

    opening: str = "<think>"
    closing: str = "</think>"

    def split(self, text: str) -> tuple[str | None, str] | None:
        """The thought (None: there is none) and the answer behind it; None where the tags are not legal.

        They are legal when there are none, or one thought that is closed, with nothing before it.
        """
        opened, closed = text.count(self.opening), text.count(self.closing)
        if opened == closed == 0:
            return None, text.strip()
        begins = text.lstrip().startswith(self.opening)
        if not (opened == closed == 1 and begins) or text.index(self.closing) < text.index(self.opening):
            return None
        thought, answer = text.lstrip().removeprefix(self.opening).split(self.closing)
        return thought.strip(), answer.strip()


class FormatReward(Reward):
    """1 for a response of legal format, else 0.

    Reads ``text`` of a response; without it the score is NaN. A format is legal when the whole text matches `pattern`;
    without a pattern, when thoughts are legal: none, or one that is closed, at the beginning, with an answer behind it.
    The part ``legal`` is the same number.

    Args:
        pattern: regular expression that the whole text must match; empty: the rule about thoughts.
        opening: what a thought begins with.
        closing: what it ends with.
        thought: whether there must be a thought.
    """

    nature = "verifiable"

    def __init__(
        self, *, pattern: str = "", opening: str = "<think>", closing: str = "</think>", thought: bool = False
    ) -> None:
        try:
            self._pattern = re.compile(pattern, re.DOTALL) if pattern else None
        except re.error as cause:
            raise StentorError(f"this is no regular expression: {cause}.", path="pattern", value=pattern) from cause
        self._tags, self.thought = tags(opening, closing), thought

    def score(self, prompts: Items, responses: Items) -> Scores:
        legal = torch.tensor([self._legal(response.get("text")) for response in responses], dtype=torch.float32)
        return Scores(legal, {"legal": legal})

    def _legal(self, text: Any) -> float:
        if not isinstance(text, str):
            return math.nan
        if self._pattern is not None:
            return float(bool(self._pattern.fullmatch(text)))
        found = self._tags.split(text)
        if found is None:
            return 0.0
        thought, answer = found
        return float(thought is None and not self.thought) or float(bool(thought) and bool(answer))


class ThoughtLengthReward(Reward):
    """1 if and only if the response has a thought that is not empty and no longer than the cap, else 0.

    The first of the three stages of reinforcement learning in Step-Audio 2 (arXiv 2507.16632). Reads ``text`` of a
    response; without it the score is NaN. Parts are the ``length`` of the thought, ``some`` (it is not empty) and
    ``within`` (no longer than the cap).

    Args:
        cap: longest thought.
        unit: what lengths are counted in.
        opening: what a thought begins with.
        closing: what it ends with.
    """

    nature = "verifiable"

    def __init__(
        self,
        *,
        cap: int = 32,
        unit: Literal["words", "characters"] = "words",
        opening: str = "<think>",
        closing: str = "</think>",
    ) -> None:
        ranges.refuse({"cap": (cap, ranges.least(cap, 1))})
        self.cap, self.unit, self._tags = cap, unit, tags(opening, closing)

    def score(self, prompts: Items, responses: Items) -> Scores:
        lengths = torch.tensor([self._length(response) for response in responses], dtype=torch.float32)
        some, within = (lengths > 0).float(), (lengths <= self.cap).float()
        total = torch.where(lengths.isnan(), lengths, some * within)
        return Scores(total, {"length": lengths, "some": some, "within": within})

    def _length(self, response: Mapping[str, Any]) -> float:
        text = response.get("text")
        if not isinstance(text, str):
            return math.nan
        thought, _ = self._tags.split(text) or (None, "")
        return float(len((thought or "").split()) if self.unit == "words" else len(thought or ""))


def tags(opening: str, closing: str) -> Tags:
    """The tags of thoughts, checked.

    Raises:
        StentorError: when they do not differ.
    """
    if not opening or not closing or opening == closing:
        raise StentorError("the tags of a thought must be two different texts.", path="opening", value=opening)
    return Tags(opening, closing)
