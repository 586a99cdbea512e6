"""What the training loop costs apart from the model, in microseconds per step of a toy model.

A hand-written loop is the zero line. Lightning's own loop (logger, checkpoints and bar off) and ours (with its log of
every tenth step, its checks and its schedule) run on the same model, batch, optimiser and clipping. Processor time, one
thread. The loops take turns of ten steps in one process, so that whatever else the machine does falls on all alike;
medians over the turns. One JSON line.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from stentor.interfaces.task import Loss, Task
from stentor.train.after_step import AfterStep
from stentor.train.module import Training
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Lines
from stentor.train.trainer import trainer_for
from stentor.train.validation import Validation
from stentor.train.weights import take_stock

TURN, TURNS, WARM = 10, 150, 15
STEPS = TURN * TURNS


class Toy(Task):
    """Two layers on 8 rows of 32 numbers."""

    roles = {}
    metrics = ()

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))

    @classmethod
    def assemble(cls, sections: Any, **_: Any) -> Toy:
        return cls()

    @property
    def sample_rate(self) -> int:
        return 16000

    def training_loss(self, batch: Any) -> Loss:
        return Loss(self.net(batch["audio"]).square().mean(), 8)

    def predict(self, batch: Any) -> list[str]:
        return []


class Turns:
    """Hands the processor round: one contestant at a time runs, for `TURN` steps."""

    def __init__(self, contestants: int) -> None:
        self.gates = [threading.Semaphore(number == 0) for number in range(contestants)]
        self.left = list(range(contestants))

    def wait(self, who: int) -> None:
        self.gates[who].acquire()

    def pass_on(self, who: int, *, leave: bool = False) -> None:
        following = self.left[(self.left.index(who) + 1) % len(self.left)]
        if leave:
            self.left.remove(who)
        self.gates[following].release()


class Source:
    """The same batch again and again; notes how long each turn took."""

    valid = ()

    def __init__(self, turns: Turns, who: int) -> None:
        self.turns, self.who, self.seconds = turns, who, []
        self.batch = {"ids": [str(n) for n in range(8)], "texts": [""] * 8, "audio": torch.ones(8, 32), "seconds": 1.0,
                      "next": {"epoch": 0, "position": 0}}  # fmt: skip

    def __iter__(self) -> Iterator[dict[str, Any]]:
        began = time.process_time()
        for number in range(STEPS + 2):
            if number % TURN == 0:
                self.seconds.append(time.process_time() - began)
                self.turns.pass_on(self.who)
                self.turns.wait(self.who)
                began = time.process_time()
            yield self.batch

    def prepare(self) -> None:
        """Nothing."""

    def training(self, at: dict[str, int], *, rank: int, world: int) -> Source:
        return self


class Bare(LightningModule):
    """What one writes with Lightning alone."""

    def __init__(self, task: Toy) -> None:
        super().__init__()
        self.task = task

    def training_step(self, batch: Any, index: int) -> Tensor:
        return self.task.training_loss(batch).value

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, fused=True)


def by_hand(source: Source) -> None:
    task = Toy()
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-3, fused=True)
    for batch in source:
        loss = task.training_loss(batch).value
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimiser.step()


def lightning(source: Source) -> None:
    trainer = Trainer(
        accelerator="cpu",
        max_steps=STEPS + 1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Bare(Toy()), source)


def ours(source: Source) -> None:
    settings = TrainSettings(steps=STEPS + 1, checkpoint_every=0, accelerator="cpu", keep=1)
    task = Toy()
    with tempfile.TemporaryDirectory() as folder:
        lines = Lines(Path(folder) / "metrics.jsonl")
        after = AfterStep(
            Path(folder), settings, take_stock(task, ()), [lines], Validation(source, 0, ()), progress=False
        )
        trainer_for(settings).fit(Training(task, settings, source, after))
        after.close()
        lines.close("done")


def _run(loop: Callable[[Source], None], source: Source) -> None:
    torch.set_num_threads(1)
    source.turns.wait(source.who)
    loop(source)
    source.turns.pass_on(source.who, leave=True)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loops = (by_hand, lightning, ours)
    turns = Turns(len(loops))
    sources = [Source(turns, who) for who in range(len(loops))]
    threads = [threading.Thread(target=_run, args=pair) for pair in zip(loops, sources, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    medians = {
        loop.__name__: 1e6 * statistics.median(source.seconds[WARM:]) / TURN
        for loop, source in zip(loops, sources, strict=True)
    }
    added = {name: medians[name] - medians["by_hand"] for name in ("lightning", "ours")}
    ratio = added["ours"] / added["lightning"]
    told = {
        "benchmark": "training_overhead",
        "ratio": round(ratio, 3),
        "target": "<= 1.1 of Lightning's added microseconds per step",
        "passed": ratio <= 1.1,
        "microseconds_per_step": {name: round(found, 1) for name, found in medians.items()},
        "added_microseconds_per_step": {name: round(found, 1) for name, found in added.items()},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
