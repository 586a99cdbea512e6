"""The ``data`` section of a recipe: which manifests to use and how to batch them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stentor.config import ranges
from stentor.config.ranges import least
from stentor.data.augment.settings import AugmentSettings


@dataclass
class DataSettings:
    """Manifests and how to batch them.

    Attributes:
        train: manifest of training utterances (``train.jsonl.gz`` as `stentor prepare` writes it).
        valid: manifest to validate on while training; empty means no validation.
        batch_seconds: budget of a batch in padded seconds: rows times the longest row (s).
        max_items: most rows in a batch; 0 means as many as the budget holds.
        min_duration: shorter utterances are left out (s).
        max_duration: longer utterances are left out (s); 0 means no limit.
        overlong: an utterance longer than `batch_seconds` makes a batch ``alone`` or is left out (``reject``).
        shuffle: whether every epoch has its own order, made from the seed.
        streaming: read the manifest lazily with lhotse's dynamic bucketing, for sets too large to list in memory; no
            cache then, and resuming inside an epoch reads the epoch again up to there.
        workers: processes that read and augment audio; 0 reads in the training process.
        cache: keep the outputs of a frozen encoder on disk, so that an epoch costs what the trainable part costs.
        cache_folder: where they are kept; empty means ``frames`` beside the training manifest when that folder can be
            written to, else ``~/.cache/stentor``.
        cache_precision: how they are stored.
        augment: variation of training waveforms; where it is used, the frozen encoder's outputs are not kept.
    """

    train: str = ""
    valid: str = ""
    batch_seconds: float = 120.0
    max_items: int = 0
    min_duration: float = 0.05
    max_duration: float = 0.0
    overlong: Literal["alone", "reject"] = "reject"
    shuffle: bool = True
    streaming: bool = False
    workers: int = 0
    cache: bool = True
    cache_folder: str = ""
    cache_precision: Literal["fp16", "fp32"] = "fp16"
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        longest = self.max_duration == 0 or self.max_duration > self.min_duration
        ranges.check(
            self,
            {
                "batch_seconds": ranges.above_zero(self.batch_seconds),
                "max_items": least(self.max_items, 0),
                "min_duration": least(self.min_duration, 0),
                "max_duration": (longest, f"more than min_duration, or 0, not {self.max_duration:g}"),
                "workers": least(self.workers, 0),
            },
        )
