"""Section ``evaluate`` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from stentor.config.reference import ComponentOf, NameOf


@dataclass
class OverTruth:
    """A target told by the score of the reference audio itself: ``times`` that score, ``plus`` so many more.

    Attributes:
        times: factor.
        plus: in the metric's unit, e.g. 5 for five points of WER.
    """

    times: float = 1.0
    plus: float = 0.0

    def of(self, truth: float) -> float:
        """The value to reach where the reference audio has `truth`."""
        return self.times * truth + self.plus


@dataclass
class EvaluateSettings:
    """What `stentor evaluate` scores, and how.

    Attributes:
        sets: set name -> manifest (``.jsonl.gz`` of cuts); a set whose manifest is absent is skipped and said so.
        metrics: registered metrics; empty: those of the task.
        configured: further metrics with settings of their own, e.g. ``{name: nearest-voice, voices: train.jsonl.gz}``.
        normaliser: registered text normaliser for the metrics that take one; named in every result.
        targets: set name -> metric -> the value to reach, written down before the first scored run.
        ground_truth: whether metrics of audio measure the sets' own audio too, for comparison.
        truth_targets: set name -> metric -> ``{times, plus}``, a target told by the score of the set's own audio.
        bootstrap: resamples of the utterances behind every confidence interval.
        confidence: of the intervals.
        bootstrap_seed: of the resampling.
        batch_size: most utterances decoded together.
        batch_seconds: most audio decoded together, padding included (s).
        threads: torch threads while decoding, stated with the real-time factor; 0 leaves the number as it is.
        device: where to decode; ``auto`` is the accelerator if there is one.
        aligned: how many of the worst utterances are aligned in time for the report, where the task can.
    """

    sets: dict[str, str] = field(default_factory=dict)
    metrics: list[Annotated[str, NameOf("metric")]] = field(default_factory=list)
    configured: list[Annotated[Mapping[str, Any], ComponentOf("metric")]] = field(default_factory=list)
    normaliser: Annotated[str, NameOf("normaliser")] = "english"
    targets: dict[str, dict[str, float]] = field(default_factory=dict)
    ground_truth: bool = False
    truth_targets: dict[str, dict[str, OverTruth]] = field(default_factory=dict)
    bootstrap: int = 2000
    confidence: float = 0.95
    bootstrap_seed: int = 0
    batch_size: int = 16
    batch_seconds: float = 60.0
    threads: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    aligned: int = 12

    def __post_init__(self) -> None:
        if self.bootstrap < 100:
            raise ValueError("bootstrap must be at least 100 resamples")
        if not 0.5 <= self.confidence < 1:
            raise ValueError("confidence must lie in [0.5, 1), e.g. 0.95")
        unknown = sorted({*self.targets, *self.truth_targets} - set(self.sets)) if self.sets else []
        if unknown:
            raise ValueError(f"targets name '{unknown[0]}', which is not among the sets: {', '.join(self.sets)}")
        if self.batch_size < 1 or self.batch_seconds <= 0 or min(self.threads, self.aligned) < 0:
            raise ValueError("batch_size and batch_seconds must be positive and threads and aligned not negative")
