"""The Lightning module around a task: steps, learning rate, clipping, stopping, and all state that resuming needs.

One call of ``Trainer.fit`` sees one endless epoch. Epochs, steps and time are counted here and in the loader, so
nothing depends on Lightning's own restart of a half-done epoch: a resumed run is a fresh fit with all states put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.task import Loss, Task
from stentor.train import parameters, randomness
from stentor.train.checkpoint import Checkpoint
from stentor.train.schedule import scale, spent
from stentor.train.settings import TrainSettings


class Training(LightningModule):
    """Trains `task`.

    Attributes:
        step: optimiser steps done, over all parts of the run.
        next: where the loader goes on after the last batch.
        share: of the budget that is spent.
        grad_norm: of the last step, before clipping.
        tally: what the log averages since it last took it.
    """

    def __init__(
        self, task: Task, settings: TrainSettings, *, seed: int = 0, checkpoint: Checkpoint | None = None
    ) -> None:
        super().__init__()
        self.task, self.settings, self.seed = task, settings, seed
        self.step, self.share = 0, 0.0
        self.next: dict[str, int] = {"epoch": 0, "position": 0}
        self.grad_norm = torch.zeros(())
        self.tally = Tally()
        self._trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
        self._window: list[tuple[list[str], Tensor]] = []
        self._checkpoint, self._earlier, self._began = checkpoint, 0.0, 0.0
        if checkpoint is not None:
            self.step, self.next = checkpoint.step, dict(checkpoint.index["next"])
            self._earlier = float(checkpoint.index["elapsed"])

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
        self._began = time.monotonic()

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        loss = self.task.training_loss(batch)
        value = loss.value.detach()
        self._window.append((batch["ids"], value))
        self.tally.add(value, loss, batch)
        self.next = batch["next"]
        return loss.value

    def validation_step(self, batch: dict[str, Any], index: int) -> Any:
        return self.task.training_loss(batch)

    def predict_step(self, batch: dict[str, Any], index: int) -> list[str]:
        return self.task.predict(batch)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        limit = self.settings.clip or float("inf")
        sharded = getattr(self.trainer.strategy.model, "clip_grad_norm_", None)
        self.grad_norm = sharded(limit) if sharded else torch.nn.utils.clip_grad_norm_(self._trained, limit)
        if self.grad_norm.device.type == "cpu":
            self.check_finite()

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, closure: Callable[[], Any]) -> None:  # type: ignore[override]
        self.share = self._spent(self.step + 1)
        factor = scale(self.settings, self.share)
        for group in optimizer.param_groups:
            group["lr"] = self.settings.lr * group["scale"] * factor
        super().optimizer_step(epoch, batch_idx, optimizer, closure)
        self.step += 1
        if self.share >= 1:
            self.trainer.should_stop = True

    @property
    def elapsed(self) -> float:
        """Training time so far, all parts of the run together (s)."""
        return self._earlier + (time.monotonic() - self._began if self._began else 0.0)

    def check_finite(self) -> None:
        """Raise when a loss or gradient since the last check is not a number; on accelerators this waits for them.

        Raises:
            StentorError: with the ids of the batch.
        """
        window, self._window = self._window, []
        faulty = [ids for ids, value in window if not torch.isfinite(value)]
        if not faulty and (self.settings.precision == "fp16" or torch.isfinite(self.grad_norm)):
            return
        what = "loss" if faulty else "gradient"
        ids = faulty[0] if faulty else [name for names, _ in window for name in names]
        raise StentorError(
            f"the {what} of step {self.step + 1} is not a finite number; the batch held {', '.join(ids)}. Look at "
            f"these utterances, or lower train.lr; the last checkpoint is from before.",
            path="train",
        )

    def state(self) -> dict[str, Any]:
        """Optimiser, random states of every process, gradient scaler. Called by all processes at once."""
        strategy = self.trainer.strategy
        return {
            "optimizer": strategy.optimizer_state(self.trainer.optimizers[0]),
            "random": self._of_all(randomness.save()),
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
        if len(state["random"]) == self.trainer.world_size:
            randomness.restore(state["random"][self.global_rank])
        else:
            randomness.seed_all(self.seed + self.step * self.trainer.world_size + self.global_rank)

    def _spent(self, steps: int) -> float:
        share = spent(self.settings, steps, self.elapsed)
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
        self._seconds, self._units, self._began = 0.0, 0, time.monotonic()

    def add(self, value: Tensor, loss: Loss, batch: Mapping[str, Any]) -> None:
        self._last = value
        self._losses.append(value)
        for name, part in loss.parts.items():
            self._parts[name] = self._parts.get(name, 0.0) + part
        self._seconds += batch["seconds"]
        self._units += loss.units

    def take(self) -> dict[str, float]:
        """Mean loss and parts, and what went through per second of wall time; starts anew."""
        count, wall = len(self._losses), max(time.monotonic() - self._began, 1e-9)
        found = {"loss": float(torch.stack(self._losses).mean())}
        found |= {name: total / count for name, total in self._parts.items()}
        found |= {"audio_seconds_per_second": self._seconds / wall, "units_per_second": self._units / wall}
        self._clear()
        return found

    def recent(self) -> float | None:
        """Loss of the last batch."""
        return None if self._last is None else float(self._last)
