"""The policy that tuning steps are timed on, its twin for TRL, and how time and memory are taken."""

from __future__ import annotations

import copy
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from stentor.interfaces.task import Task
from stentor.train import made, weights
from stentor.train.after_step import AfterStep
from stentor.train.assembly import assemble
from stentor.train.module import Training
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Lines
from stentor.train.trainer import trainer_for
from stentor.train.validation import Validation
from stentor.train.weights import take_stock

LETTERS = [chr(0x4E00 + number) for number in range(5883)]
"""One id each, from 1 on; with the unknown letter and four controls a vocabulary of 5 888."""
CONFIG: dict[str, Any] = {
    "name": "policy",
    "task": {"name": "text-lm", "longest": 64},
    "backbone": {"name": "causal-lm", "dim": 256, "layers": 4, "heads": 4, "ffn_dim": 704},
    "text": {"name": "characters"},
}


def quiet() -> None:
    """One thread, no network, no warnings, no bars."""
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "transformers", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def policy_run(folder: Path, **shape: int) -> Path:
    """A run of the policy: a Llama of 4.7 M parameters that nobody trained, or of another shape."""
    torch.manual_seed(0)
    config = {**CONFIG, "backbone": {**CONFIG["backbone"], **shape}}
    task = assemble(config, texts=["".join(LETTERS)])
    made.write(folder, config, task.state(), weights.tensors(task), {"run": "none"})
    return folder


def tuning(run: Path, name: str, **options: Any) -> Task:
    """A tuning task around that policy."""
    task = assemble({"task": {"name": name, "run": str(run), **options}}, texts=[])
    task.load_pretrained()
    return task


def twin(task: Task) -> Any:
    """The policy as a model of transformers, with the same weights."""
    from transformers import AutoModelForCausalLM

    backbone: Any = task.policy.backbone  # type: ignore[union-attr]
    configuration = copy.deepcopy(backbone.decoder.config)
    configuration.use_cache = True
    found = AutoModelForCausalLM.from_config(configuration, attn_implementation="sdpa")
    found.model.load_state_dict(backbone.decoder.state_dict())
    found.tie_weights()
    return found


def tokenizer(task: Task) -> Any:
    """A tokenizer of transformers with the policy's ids: word ``w7`` is id 7."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    size, end = task.policy.vocabulary.size, task.policy.vocabulary.control("end")  # type: ignore[union-attr]
    words = {f"w{number}": number for number in range(1, size)} | {"<unk>": 0}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>", pad_token="<unk>", eos_token=f"w{end}")


class Source:
    """The same batch `steps` times; notes the time at which each is asked for."""

    valid = ()

    def __init__(self, batch: Mapping[str, Any], steps: int, clock: Callable[[], float]) -> None:
        self.batch = {**batch, "next": {"epoch": 0, "position": 0}, "seconds": 1.0}
        self.steps, self.clock = steps, clock
        self.times: list[float] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.steps):
            self.times.append(self.clock())
            yield self.batch

    def prepare(self) -> None:
        """Nothing."""

    def training(self, at: dict[str, int], *, rank: int, world: int) -> Source:
        return self


def ours(
    task: Task, batch: Mapping[str, Any], steps: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Seconds of each step of our loop but the first and the last, logging included; processor time unless told."""
    source = Source(batch, steps + 2, clock)
    settings = TrainSettings(steps=steps + 2, checkpoint_every=0, log_every=1, accelerator="cpu", lr=1e-5)
    with tempfile.TemporaryDirectory() as folder:
        lines = Lines(Path(folder) / "metrics.jsonl")
        stock = take_stock(task, ())
        after = AfterStep(Path(folder), settings, stock, [lines], Validation(source, 0, ()), progress=False)  # type: ignore[arg-type]
        trainer_for(settings).fit(Training(task, settings, source, after))
        after.close()
        lines.close("done")
    return [late - early for early, late in pairwise(source.times[1:])]


def trainer_options(folder: str, steps: int) -> dict[str, Any]:
    """What TRL's trainers are told alike: one log line for each step, nothing saved, nothing recomputed."""
    return {
        "output_dir": folder,
        "max_steps": steps + 2,
        "learning_rate": 1e-5,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
    }


def theirs(trainer: Any) -> list[float]:
    """Processor seconds of each step of a trainer of TRL but the first and the last."""
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.process_time())

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Clock())
    trainer.train()
    return [late - early for early, late in pairwise(times[1:])]


def interleaved(contestants: Mapping[str, Callable[[], list[float]]], rounds: int) -> dict[str, float]:
    """Median milliseconds of a step of each contestant, which take turns."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            spent[name] += work()
    return {name: 1e3 * statistics.median(values) for name, values in spent.items()}


def report(title: str, name: str, medians: Mapping[str, float], growths: Mapping[str, float], *, target: float) -> None:
    """One JSON line about a contestant and its peer ``trl``."""
    ratio, share = medians["trl"] / medians[name], growths[name] / growths["trl"]
    told = {
        "benchmark": title,
        "ratio": round(ratio, 3),
        "target": target,
        "memory": round(share, 3),
        "memory_target": 0.8,
        "passed": ratio >= target and share <= 0.8,
        "milliseconds": round(medians[name], 1),
        "peer_milliseconds": round(medians["trl"], 1),
        "megabytes": round(growths[name], 1),
        "peer_megabytes": round(growths["trl"], 1),
    }
    print(json.dumps(told), flush=True)


def growth(work: Callable[[], object]) -> float:
    """By how much the memory of a forked process grows at most while it does `work` (MB)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Path("/proc/self/clear_refs").write_text("5")
            before = _status("VmRSS")
            work()
            os.write(writer, json.dumps(_status("VmHWM") - before).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as told:
        return float(json.loads(told.read())) / 1024


def _status(name: str) -> int:
    """A figure of ``/proc/self/status`` (kB)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
