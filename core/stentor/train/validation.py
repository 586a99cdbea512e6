"""Validation between steps: loss over the whole set, metrics over a part that is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stentor.interfaces.metric import AudioMetric, Metric
from stentor.plugins import registry
from stentor.train import randomness
from stentor.train.batches import Batches

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from stentor.train.module import Training


class Validation:
    """Scores a task on the validation set; draws nothing from the run's random sources.

    Every process scores the whole set, so that no process waits for another.

    Args:
        batches: the data.
        items: utterances that are decoded for the metrics.
        metrics: names of the metrics; those of audio wait for `stentor evaluate`, as speaking and judging takes long.
    """

    def __init__(self, batches: Batches, items: int, metrics: tuple[str, ...]) -> None:
        self.batches, self.items = batches, items
        self.metrics: dict[str, Metric] = text_metrics(metrics) if items else {}

    def __bool__(self) -> bool:
        return bool(self.batches.valid)

    @torch.no_grad()
    def __call__(self, trainer: Trainer, module: Training) -> dict[str, float]:
        """``valid_loss``, ``valid_PART`` for each part of the loss, ``valid_METRIC`` for each metric (per cent)."""
        with randomness.untouched():
            module.eval()
            try:
                return self._loss(trainer, module) | self._scores(trainer, module)
            finally:
                module.train()

    def _loss(self, trainer: Trainer, module: Training) -> dict[str, float]:
        totals: dict[str, float] = {}
        weights: dict[str, int] = {}
        for index, batch in enumerate(self.batches.validation()):
            loss: Any = trainer.strategy.validation_step(self._placed(module, batch), index)
            for name, value in {"loss": float(loss.value), **loss.parts}.items():
                counted = loss.counts.get(name, loss.units)
                totals[name] = totals.get(name, 0.0) + value * counted
                weights[name] = weights.get(name, 0) + counted
        return {f"valid_{name}": total / weights[name] for name, total in totals.items() if weights[name]}

    def _scores(self, trainer: Trainer, module: Training) -> dict[str, float]:
        references: list[str] = []
        outputs: list[str] = []
        if self.metrics:
            for index, batch in enumerate(self.batches.validation(self.items)):
                found: Any = trainer.strategy.predict_step(self._placed(module, batch), index)
                references += batch["texts"]
                outputs += found
        scores = {}
        for name, metric in self.metrics.items():
            counts = metric.counts(references, outputs)
            errors, units = sum(one[0] for one in counts), sum(one[1] for one in counts)
            if units:
                scores[f"valid_{name}"] = 100 * errors / units
        return scores

    def best_of(self, scores: Mapping[str, float]) -> float | None:
        """What the best checkpoint is chosen by, lower is better: the first metric, else the loss."""
        return best_of(self.metrics, scores)

    def _placed(self, module: Training, batch: dict[str, Any]) -> dict[str, Any]:
        return {k: v.to(module.device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def text_metrics(names: tuple[str, ...]) -> dict[str, Metric]:
    """Those of the named metrics that score texts, by name."""
    scored = [name for name in names if not issubclass(registry().get("metric", name).load(), AudioMetric)]
    return {name: registry().build("metric", name) for name in scored}


def best_of(metrics: Mapping[str, Metric], scores: Mapping[str, float]) -> float | None:
    """The one of `scores` that says which checkpoint is best, lower is better: the first metric, else the loss."""
    for name, metric in metrics.items():
        if f"valid_{name}" in scores:
            return scores[f"valid_{name}"] * (1 if metric.lower_is_better else -1)
    return scores.get("valid_loss")
