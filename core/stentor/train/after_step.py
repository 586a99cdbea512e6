"""What happens between optimiser steps: logging, validation, checkpoints, the progress bar, and stopping when asked."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm import tqdm

from stentor.train import checkpoint, weights
from stentor.train.schedule import scale
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Tracker
from stentor.train.validation import Validation

if TYPE_CHECKING:
    from stentor.train.module import Training

_REDRAW, _RELOG = 0.5, 10.0
"""Between two drawings of the bar on a terminal, and in a log file (s)."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AfterStep:
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
        self._progress = progress
        self._bar: Any = None
        self._drawn, self._seen, self._world = 0.0, -1, 1
        self._listens = threading.current_thread() is threading.main_thread()
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._best: tuple[float, Path] | None = None

    def begin(self, module: Training) -> None:
        """Listen for Ctrl-C and SIGTERM: the first asks for a stop after the step, the second one interrupts."""
        self._seen, self._world = module.place.step, module.trainer.world_size
        if self._progress:
            self._bar = tqdm(total=1000, bar_format="training {percentage:3.0f}%|{bar}| {desc}")
        for number in _SIGNALS if self._listens else ():
            signal.signal(number, self._on_signal)
        self._best = self._best_so_far()

    def __call__(self, module: Training) -> None:
        """Called after every batch; does something after every step."""
        if module.place.step == self._seen:
            return
        trainer, self._seen = module.trainer, module.place.step
        if self._world > 1:
            self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        if self.interrupted:
            trainer.should_stop = True
        last = trainer.should_stop
        log = last or self._due(self.settings.log_every)
        validate = bool(self.validation) and (self._due(self.settings.valid_every) or (last and not self.interrupted))
        save = last or self._due(self.settings.checkpoint_every)
        if log or validate or save:
            self._report(module, log=log, validate=validate, save=save)
        if self._bar is not None:
            self._draw(module, force=last)

    def close(self) -> None:
        """Stop listening, end the bar."""
        self._restore_handlers()
        if self._bar is not None:
            self._bar.close()

    def _report(self, module: Training, *, log: bool, validate: bool, save: bool) -> None:
        place = module.place
        module.check_finite()
        metrics: dict[str, float] = {"epoch": place.next["epoch"], "elapsed": place.elapsed}
        if log:
            rate = self.settings.lr * scale(self.settings, place.share)
            metrics |= {**module.tally.take(), "grad_norm": _number(place.grad_norm), "lr": rate}
        valid = self.validation(module.trainer, module) if validate else {}
        if valid and self._bar is not None:
            self._bar.write(f"step {place.step}: " + ", ".join(f"{name} {value:.4g}" for name, value in valid.items()))
        for tracker in self.trackers if log or valid else ():
            tracker.log(place.step, metrics | valid)
        better = self._better(place.step, valid)
        if save or better:
            self._save(module, valid)

    def _save(self, module: Training, valid: dict[str, float]) -> None:
        trainer, place = module.trainer, module.place
        state, found = module.state(), module.weights()
        if trainer.is_global_zero:
            index = {"step": place.step, "next": place.next, "elapsed": place.elapsed, "metrics": valid}
            changing = self.inventory.changing
            checkpoint.write(self.folder, index, state, lambda path: weights.save(path, found, changing))
            checkpoint.prune(self.folder, self.settings.keep, besides=self._best[1] if self._best else None)
        trainer.strategy.barrier("checkpoint")

    def _better(self, step: int, valid: dict[str, float]) -> bool:
        """Whether this is the best so far, of a run that keeps the best; all processes agree."""
        score = self.validation.best_of(valid)
        if not self.settings.keep_best or score is None or (self._best and score >= self._best[0]):
            return False
        self._best = score, checkpoint.place(self.folder, step)
        return True

    def _best_so_far(self) -> tuple[float, Path] | None:
        best_of = self.validation.best_of
        best = checkpoint.best(self.folder, best_of) if self.settings.keep_best else None
        score = best_of(best.index["metrics"]) if best else None
        return None if best is None or score is None else (score, best.folder)

    def _due(self, every: int) -> bool:
        return every > 0 and self._seen % every == 0

    def _draw(self, module: Training, *, force: bool = False) -> None:
        now = time.monotonic()
        if now - self._drawn < (_REDRAW if sys.stderr.isatty() else _RELOG) and not force:
            return
        self._drawn = now
        share = min(module.place.share, 1.0)
        left = module.place.elapsed * (1 - share) / share if share else 0.0
        self._bar.n = round(1000 * share)
        loss = module.tally.recent()
        told = f"step {module.place.step}, {int(left) // 60}:{int(left) % 60:02d} left"
        self._bar.set_description_str(f"loss {loss:.3f}, {told}" if loss is not None else told)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            self._restore_handlers()
            raise KeyboardInterrupt
        self.interrupted = True
        tqdm.write("stopping after this step and saving; once more to stop at once")

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items() if self._listens else ():
            signal.signal(number, handler)


def _number(value: Tensor | None) -> float:
    return 0.0 if value is None else float(value)
