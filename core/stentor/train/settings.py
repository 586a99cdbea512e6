"""The ``train`` section of a recipe: optimiser, schedule, budget, checkpoints, tracking, devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stentor.config import ranges
from stentor.config.ranges import above_zero, least
from stentor.model.lora_settings import LoraSettings


@dataclass
class GroupSettings:
    """Parameters that are optimised differently from the rest.

    Attributes:
        match: glob over parameter names, e.g. ``adapter.*``; the first group that matches a parameter has it.
        lr: multiplies the learning rate.
        weight_decay: in place of the general weight decay; None keeps that.
    """

    match: str
    lr: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        ranges.check(self, {"lr": least(self.lr, 0), "weight_decay": least(self.weight_decay or 0, 0)})


@dataclass
class TrainSettings:
    """How to train. A run ends when either budget, `steps` or `minutes`, is spent.

    Attributes:
        steps: optimiser steps; 0 means that `minutes` alone counts.
        minutes: training time, summed over resumed parts; 0 means that `steps` alone counts. Where this run stops
            depends on the machine, so only a budget in steps is exactly repeatable.
        lr: peak learning rate of AdamW (Loshchilov and Hutter, 2019).
        betas: AdamW's two decay rates.
        weight_decay: of parameters with two or more dimensions; biases and norms have none.
        initialise: folder of a run to begin with the weights, tokenizers and vocabularies of (fine-tuning, a further
            stage); empty begins anew. The new run's data, task and settings are its own.
        groups: parameters with their own learning rate or weight decay, by glob.
        freeze: globs over parameter names that are not trained; frozen tensors stay bit-identical.
        lora: low-rank adaptation of the backbone; off while its rank is 0. Give it the names of the backbone's linear
            layers; adapters and heads outside the backbone train as before.
        schedule: what follows the linear warm-up: half a ``cosine`` down to 1 % of the peak, or ``constant``.
        warmup: share of the budget that the warm-up takes.
        clip: largest gradient norm; 0 means no clipping.
        accumulate: batches per optimiser step.
        precision: ``auto`` is fp32 on CPUs and bf16 on accelerators that have it.
        log_every: steps between logged lines; 0 logs only at the end.
        valid_every: steps between validations; 0 validates only at the end.
        valid_items: utterances of the validation set that are decoded for the metrics; all count for the loss.
        checkpoint_every: steps between checkpoints; 0 writes one only at the end.
        keep: how many of the newest checkpoints stay.
        keep_best: also keep the checkpoint with the best validation metric; `stentor evaluate` then scores this one.
        tracking: where metrics go beside ``metrics.jsonl``.
        tracking_uri: MLflow server or store; empty means ``mlflow.db`` beside the run folder.
        experiment: MLflow experiment name.
        accelerator: Lightning's name of the hardware, e.g. ``cpu``, ``gpu`` or ``auto``.
        devices: processes on each node.
        num_nodes: machines.
        strategy: Lightning's name of the parallel strategy, e.g. ``ddp``, ``fsdp`` or ``auto``.
    """

    steps: int = 1000
    minutes: float = 0.0
    lr: float = 1e-3
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    weight_decay: float = 0.01
    initialise: str = ""
    groups: list[GroupSettings] = field(default_factory=list)
    freeze: list[str] = field(default_factory=list)
    lora: LoraSettings = field(default_factory=LoraSettings)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.05
    clip: float = 1.0
    accumulate: int = 1
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    log_every: int = 10
    valid_every: int = 0
    valid_items: int = 64
    checkpoint_every: int = 200
    keep: int = 2
    keep_best: bool = False
    tracking: list[Literal["mlflow", "tensorboard"]] = field(default_factory=lambda: ["mlflow"])
    tracking_uri: str = ""
    experiment: str = "stentor"
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        betas = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        budget = bool(self.steps or self.minutes), "more than 0, or train.minutes must be: training needs a budget"
        positive = ("accumulate", "keep", "devices", "num_nodes")
        not_negative = (
            "minutes",
            "weight_decay",
            "clip",
            "log_every",
            "valid_every",
            "valid_items",
            "checkpoint_every",
        )
        wanted = {
            "steps": least(self.steps, 0) if self.steps else budget,
            "lr": above_zero(self.lr),
            "betas": (betas, f"two numbers, each at least 0 and less than 1, not {self.betas}"),
            "warmup": ranges.share(self.warmup),
        }
        wanted |= {name: least(getattr(self, name), 1) for name in positive}
        wanted |= {name: least(getattr(self, name), 0) for name in not_negative}
        ranges.check(self, wanted)
