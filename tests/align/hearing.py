"""A text policy whose responses have a sound that is made late, and rewards of it: importable where workers are."""

from __future__ import annotations

import dataclasses
from functools import partial

import torch

from stentor.interfaces.policy import LazyResponse
from stentor.interfaces.reward import Reward, Scores
from stentor.tasks.text_lm import TextLMTask


class Sounding(TextLMTask):
    """Its sound is as loud as the text is long; of a text with a b none can be made."""

    def responses(self, prompts, rows, tokens):
        found = super().responses(prompts, rows, tokens)
        return [LazyResponse(one, {"audio": partial(sound, one["text"])}) for one in found]


def sound(text: str) -> torch.Tensor:
    if "b" in text:
        raise RuntimeError("no sound for that")
    return torch.ones(3) * len(text)


class Loudness(Reward):
    nature = "verifiable"

    def score(self, prompts, responses):
        return Scores(torch.tensor([float(one["audio"].sum()) for one in responses]), {})


@dataclasses.dataclass
class Weighed(Reward):
    """A dataclass with an equality of its own cannot be hashed."""

    weight: float = 1.0
    nature = "verifiable"

    def score(self, prompts, responses):
        return Scores(torch.tensor([self.weight * len(one["text"]) for one in responses]), {})
