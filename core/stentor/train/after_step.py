"""What happens between optimiser steps: logging, validation, checkpoints, the progress bar, and stopping when asked."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback
from tqdm import tqdm

from stentor.train import checkpoint, randomness, weights
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Tracker
from stentor.train.validation import Validation

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_REDRAW = 0.5


class AfterStep(Callback):
    """Runs after every optimiser step.

    Args:
        folder: of the checkpoints.
        settings: section ``train``.
        inventory: which tensors a checkpoint holds.
        trackers: where metrics go; only the first process has any.
        validation: scores the validation set.
        progress: whether to show a bar.

    Attributes:
        interrupted: whether the run stopped because it was asked to (Ctrl-C, SIGTERM).
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainSettings,
        inventory: weights.Inventory,
        trackers: Sequence[Tracker],
        validation: Validation,
        *,
        progress: bool = True,
    ) -> None:
        self.folder, self.settings, self.inventory = folder, settings, inventory
        self.trackers, self.validation = trackers, validation
        self.interrupted = False
        self._bar: Any = tqdm(total=1000, disable=not progress, bar_format="training {percentage:3.0f}%|{bar}| {desc}")
        self._drawn, self._seen = 0.0, -1
        self._handlers: dict[int, Any] = {}
        self._best: tuple[float, Path] | None = None

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Listen for Ctrl-C and SIGTERM: the first asks for a stop after the step, the second one interrupts."""
        self._seen = module.step
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._on_signal)
        self._best = self._best_so_far()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if module.step == self._seen:
            return
        self._seen = module.step
        if trainer.world_size > 1:
            self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        if self.interrupted:
            trainer.should_stop = True
        last = trainer.should_stop
        log = last or self._due(self.settings.log_every)
        validate = bool(self.validation) and (self._due(self.settings.valid_every) or (last and not self.interrupted))
        save = last or self._due(self.settings.checkpoint_every)
        if log or validate or save:
            self._report(trainer, module, log=log, validate=validate, save=save)
        self._draw(module)

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self._restore_handlers()
        self._bar.close()

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._restore_handlers()
        self._draw(module, force=True)
        self._bar.close()

    def _report(self, trainer: Trainer, module: Any, *, log: bool, validate: bool, save: bool) -> None:
        module.check_finite()
        metrics: dict[str, float] = {}
        if log:
            rate = trainer.optimizers[0].param_groups[0]
            metrics = {**module.tally.take(), "grad_norm": float(module.grad_norm), "epoch": module.next["epoch"]}
            metrics |= {"lr": rate["lr"] / (rate["scale"] or 1.0), "elapsed": module.elapsed}
        valid = self.validation(trainer, module) if validate else {}
        if valid and not self._bar.disable:
            self._bar.write(f"step {module.step}: " + ", ".join(f"{name} {value:.4g}" for name, value in valid.items()))
        with randomness.untouched():
            for tracker in self.trackers:
                tracker.log(module.step, metrics | valid)
        better = self.settings.keep_best and self._better(valid)
        if save or better:
            self._save(trainer, module, valid)

    def _save(self, trainer: Trainer, module: Any, valid: dict[str, float]) -> None:
        state, found = module.state(), module.weights()
        if trainer.is_global_zero:
            index = {"step": module.step, "next": module.next, "elapsed": module.elapsed, "metrics": valid}
            written = checkpoint.write(
                self.folder, index, state, lambda path: weights.save(path, found, self.inventory.changing)
            )
            score = self.validation.best_of(valid)
            if self.settings.keep_best and score is not None and (self._best is None or score < self._best[0]):
                self._best = score, written.folder
            checkpoint.prune(self.folder, self.settings.keep, besides=self._best[1] if self._best else None)
        trainer.strategy.barrier("checkpoint")

    def _better(self, valid: dict[str, float]) -> bool:
        score = self.validation.best_of(valid)
        return score is not None and (self._best is None or score < self._best[0])

    def _best_so_far(self) -> tuple[float, Path] | None:
        scored = []
        for path in checkpoint.steps(self.folder) if self.settings.keep_best else ():
            score = self.validation.best_of(checkpoint.read(path).index["metrics"])
            if score is not None:
                scored.append((score, path))
        return min(scored, default=None)

    def _due(self, every: int) -> bool:
        return every > 0 and self._seen % every == 0

    def _draw(self, module: Any, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._bar.disable or (now - self._drawn < _REDRAW and not force):
            return
        self._drawn = now
        share = min(module.share, 1.0)
        left = module.elapsed * (1 - share) / share if share else 0.0
        self._bar.n = round(1000 * share)
        loss = module.tally.recent()
        told = f"step {module.step}, {int(left) // 60}:{int(left) % 60:02d} left"
        self._bar.set_description_str(f"loss {loss:.3f}, {told}" if loss is not None else told)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            self._restore_handlers()
            raise KeyboardInterrupt
        self.interrupted = True
        self._bar.write("stopping after this step and saving; once more to stop at once")

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
