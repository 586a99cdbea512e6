"""The Lightning module around a task: steps, learning rate, clipping, stopping, and all state that resuming needs.

One call of ``Trainer.fit`` sees one endless epoch. Epochs, steps and time are counted here and in the loader, so
nothing depends on Lightning's own restart of a half-done epoch: a resumed run is a fresh fit with all states put back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.task import Loss, Task
from stentor.train import parameters, randomness
from stentor.train.checkpoint import Checkpoint
from stentor.train.schedule import scale, spent
from stentor.train.settings import TrainSettings


class Data(Protocol):
    """Where batches come from."""

    def prepare(self) -> None:
        """Work that one process does for all, before training."""

    def training(self, at: dict[str, int], *, rank: int, world: int) -> Any:
        """An endless iterable of this process's batches, from place `at` on."""


class After(Protocol):
    """What happens between batches."""

    def begin(self, module: Training) -> None:
        """Called last before the first batch."""

    def __call__(self, module: Training) -> None:
        """Called after every batch."""


@dataclass
class Place:
    """How far a run has come.

    Attributes:
        step: optimiser steps done, over all parts of the run.
        next: where the loader goes on after the last batch.
        share: of the budget that is spent.
        grad_norm: of the last step, before clipping.
        earlier: training time of the parts before this one (s).
        began: when this part began, by the monotonic clock (s); 0 before that.
    """

    step: int = 0
    next: dict[str, int] = field(default_factory=lambda: {"epoch": 0, "position": 0})
    share: float = 0.0
    grad_norm: Tensor | None = None
    earlier: float = 0.0
    began: float = 0.0

    @property
    def elapsed(self) -> float:
        """Training time so far, all parts of the run together (s)."""
        return self.earlier + (time.monotonic() - self.began if self.began else 0.0)


class Training(LightningModule):
    """Trains `task`.

    Args:
        task: with its weights as they are where training begins or goes on.
        settings: section ``train``.
        data: gives the batches.
        after: called after every optimiser step.
        seed: of dropout and the like, for a run that begins.
        checkpoint: where the run goes on.

    Attributes:
        place: how far the run has come.
        tally: what the log averages since it last looked.
    """

    def __init__(
        self,
        task: Task,
        settings: TrainSettings,
        data: Data,
        after: After,
        *,
        seed: int = 0,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        super().__init__()
        self.task, self.settings, self.data, self.after, self.seed = task, settings, data, after, seed
        self.place, self.tally = Place(), Tally()
        self._trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
        self._window: list[tuple[list[str], Tensor]] = []
        self._checkpoint = checkpoint
        if checkpoint is not None:
            index = checkpoint.index
            self.place = Place(checkpoint.step, dict(index["next"]), earlier=float(index["elapsed"]))

    def prepare_data(self) -> None:
        self.data.prepare()

    def train_dataloader(self) -> Any:
        trainer = self.trainer
        return self.data.training(self.place.next, rank=trainer.global_rank, world=trainer.world_size)

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, dataloader_idx: int) -> Any:
        if device.type == "cpu":
            return batch
        return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return parameters.optimiser(self.task, self.settings, fused=self.settings.precision != "fp16")

    def train(self, mode: bool = True) -> Training:
        super().train(mode)
        parameters.quiet_frozen(self.task)
        return self

    def on_train_start(self) -> None:
        """Put every state back, last thing before the first step."""
        self.train()
        if self._checkpoint is None:
            randomness.seed_all(self.seed + self.global_rank)
        else:
            self._restore(self._checkpoint.state())
        self.place.share = self._spent(self.place.step)
        self.after.begin(self)
        self.place.began = time.monotonic()

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        self.task.spent = self.place.share
        loss = self.task.training_loss(batch)
        value = loss.value.detach()
        self._window.append((batch["ids"], value))
        self.tally.add(value, loss, batch)
        self.place.next = batch["next"]
        return loss.value

    def validation_step(self, batch: dict[str, Any], index: int) -> Any:
        return self.task.training_loss(batch)

    def predict_step(self, batch: dict[str, Any], index: int) -> list[str]:
        return self.task.predict(batch)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        limit = self.settings.clip or float("inf")
        sharded = getattr(self.trainer.strategy.model, "clip_grad_norm_", None)
        norm: Tensor = sharded(limit) if sharded else torch.nn.utils.clip_grad_norm_(self._trained, limit)
        self.place.grad_norm = norm
        if norm.device.type == "cpu":
            self.check_finite()

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, closure: Callable[[], Any]) -> None:  # type: ignore[override]
        place = self.place
        place.share = self._spent(place.step + 1)
        factor = scale(self.settings, place.share)
        for group in optimizer.param_groups:
            group["lr"] = self.settings.lr * group["scale"] * factor
        super().optimizer_step(epoch, batch_idx, optimizer, closure)
        place.step += 1
        if place.share >= 1:
            self.trainer.should_stop = True

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.after(self)

    def check_finite(self) -> None:
        """Raise when a loss or gradient since the last check is not a number; on accelerators this waits for them.

        Raises:
            StentorError: with the ids of the batch.
        """
        window, norm = self._window, self.place.grad_norm
        faulty = [ids for ids, value in window if not math.isfinite(value)]
        if not faulty and (self.settings.precision == "fp16" or norm is None or math.isfinite(norm)):
            window.clear()
            return
        what = "loss" if faulty else "gradient"
        ids = faulty[0] if faulty else [name for names, _ in window for name in names]
        raise StentorError(
            f"the {what} of step {self.place.step + 1} is not a finite number; the batch held {', '.join(ids)}. Look "
            f"at these utterances, or lower train.lr; the last checkpoint is from before.",
            path="train",
        )

    def state(self) -> dict[str, Any]:
        """Optimiser, gradient scaler, and of every process the random states and what the task keeps. Called by all
        processes at once."""
        strategy = self.trainer.strategy
        return {
            "optimizer": strategy.optimizer_state(self.trainer.optimizers[0]),
            "random": self._of_all(randomness.save()),
            "task": self._of_all(self.task.training_state()),
            "precision": self.trainer.precision_plugin.state_dict(),
        }

    def weights(self) -> dict[str, Tensor]:
        """The task's tensors by name, gathered from all processes. Called by all processes at once."""
        found = self.trainer.strategy.lightning_module_state_dict()
        return {name.removeprefix("task."): tensor for name, tensor in found.items()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        if not state:  # the checkpoint that a run begins with
            randomness.seed_all(self.seed + self.global_rank)
            return
        self.trainer.strategy.load_optimizer_state_dict({"optimizer_states": [state["optimizer"]]})
        self.trainer.precision_plugin.load_state_dict(state["precision"])
        kept = state.get("task") or [{}]
        self.task.load_training_state(kept[self.global_rank if len(kept) == self.trainer.world_size else 0])
        if len(state["random"]) == self.trainer.world_size:
            randomness.restore(state["random"][self.global_rank])
        else:
            randomness.seed_all(self.seed + self.place.step * self.trainer.world_size + self.global_rank)

    def _spent(self, steps: int) -> float:
        share = spent(self.settings, steps, self.place.elapsed)
        if self.settings.minutes and self.trainer.world_size > 1:
            return float(self.trainer.strategy.broadcast(share))
        return share

    def _of_all(self, mine: Any) -> list[Any]:
        if self.trainer.world_size == 1:
            return [mine]
        found: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(found, mine)
        return found


class Tally:
    """Sums over the batches since the log last looked; nothing is read from an accelerator before that."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._clear()

    def _clear(self) -> None:
        self._losses: list[Tensor] = []
        self._parts: dict[str, float] = {}
        self._weights: dict[str, int] = {}
        self._seconds, self._units, self._began = 0.0, 0, time.monotonic()

    def add(self, value: Tensor, loss: Loss, batch: Mapping[str, Any]) -> None:
        self._last = value
        self._losses.append(value)
        for name, part in loss.parts.items():
            weight = loss.counts.get(name, 1)
            self._parts[name] = self._parts.get(name, 0.0) + part * weight
            self._weights[name] = self._weights.get(name, 0) + weight
        self._seconds += batch["seconds"]
        self._units += loss.units

    def take(self) -> dict[str, float]:
        """Mean loss and parts, and what went through per second of wall time; starts anew."""
        wall = max(time.monotonic() - self._began, 1e-9)
        found = {"loss": float(torch.stack(self._losses).mean())}
        found |= {name: total / self._weights[name] for name, total in self._parts.items() if self._weights[name]}
        found |= {"audio_seconds_per_second": self._seconds / wall, "units_per_second": self._units / wall}
        self._clear()
        return found

    def recent(self) -> float | None:
        """Loss of the last batch."""
        return None if self._last is None else float(self._last)
