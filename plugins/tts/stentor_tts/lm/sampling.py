"""How codes are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from stentor.config import ranges
from stentor.decode.settings import GenerationSettings
from stentor.interfaces.codec import CodecSpec

_PAUSE = 1.2
"""Silence that any word may have besides (s)."""


@dataclass(frozen=True)
class Sampling:
    """Settings of the task that decoding obeys; see `stentor_tts.lm.task.SpeakingLM`."""

    temperature: float
    top_k: int
    top_p: float
    repetition_window: int
    repetition_share: float
    slowest: float
    seed: int

    def __post_init__(self) -> None:
        ranges.refuse({"slowest": (self.slowest, ranges.above_zero(self.slowest))}, "task.")
        self.settings(1, (), ())

    def settings(self, longest: int, stop_ids: tuple[int, ...], seeds: tuple[int, ...]) -> GenerationSettings:
        """For the engine: `longest` tokens at most, each row under its own seed."""
        return GenerationSettings(
            max_new_tokens=longest,
            stop_ids=stop_ids,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            repetition_window=self.repetition_window,
            repetition_share=self.repetition_share,
            seeds=seeds,
        )

    def groups(self, ids: int, codec: CodecSpec) -> int:
        """Most groups of codes that a text of `ids` ids may take."""
        return ceil((ids / self.slowest + _PAUSE) * codec.sample_rate / codec.group_samples)
