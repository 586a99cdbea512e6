"""Lightning's Trainer as these settings want it: everything that the run does itself is switched off."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from stentor.errors import StentorError
from stentor.train.settings import TrainSettings

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_SAID_ELSEWHERE = (
    ".*does not have many workers.*",
    ".*in eval mode at the start of training.*",
    ".*You defined a `validation_step` but have no `val_dataloader`.*",
    ".*GPU available but not used.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
)


def trainer_for(settings: TrainSettings) -> Trainer:
    """A Trainer for one endless epoch; `Training` says when it is over.

    Raises:
        StentorError: when this machine has no such accelerator, devices or precision, or there is no such strategy.
    """
    for pattern in _SAID_ELSEWHERE:
        warnings.filterwarnings("ignore", pattern)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    options: dict[str, Any] = {
        "accelerator": settings.accelerator,
        "devices": settings.devices,
        "num_nodes": settings.num_nodes,
        "strategy": settings.strategy,
        "precision": _PRECISIONS[precision(settings)],
        "accumulate_grad_batches": settings.accumulate,
    }
    try:
        return Trainer(
            **options,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as cause:
        raise _refused(settings, str(cause)) from cause


def _refused(settings: TrainSettings, told: str) -> StentorError:
    """What Lightning refused, as the fault of the setting that it names."""
    known = {
        "accelerator": {"auto", "gpu", *AcceleratorRegistry.available_accelerators()},
        "strategy": {"auto", *StrategyRegistry.available_strategies()},
    }
    for name, options in known.items():
        value = getattr(settings, name)
        if value not in options:
            return StentorError("Lightning knows none of this name.", path=f"train.{name}", value=value,
                                options=sorted(options))  # fmt: skip
    asked = ", ".join(
        f"{name}={getattr(settings, name)}" for name in ("accelerator", "devices", "strategy", "precision")
    )
    return StentorError(f"this machine cannot train with {asked}: {told}", path="train")


def precision(settings: TrainSettings) -> str:
    """``fp32``, ``bf16`` or ``fp16``; bf16 on a CPU without bf16 units is many times slower and is warned of."""
    on_cpu = settings.accelerator == "cpu" or not torch.cuda.is_available()
    if settings.precision == "auto":
        return "bf16" if not on_cpu and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if settings.precision == "bf16" and on_cpu and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        warnings.warn(
            "train.precision=bf16: this processor has no bf16 units, training will be many times slower than in fp32.",
            stacklevel=2,
        )
    return settings.precision
