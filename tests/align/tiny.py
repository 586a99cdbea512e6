"""A small text policy and batches for it: what the tests of alignment share."""

from __future__ import annotations

import json

import torch

from stentor.config import Recipe
from stentor.data import manifest as manifests
from stentor.data.utterance import Utterance
from stentor.train import made, weights
from stentor.train.assembly import assemble

CONFIG = {
    "task": {"name": "text-lm", "longest": 8},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
}
TEXTS = ["abcdef", "say end"]


def policy(seed=0, **changes):
    """A ``text-lm`` task with weights that say something, in evaluation mode."""
    torch.manual_seed(seed)
    config = {**CONFIG, **changes}
    task = assemble(config, texts=TEXTS).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return task


def batch(*given, **custom):
    """Rows that ask to say `given`; `custom` are fields of all of them."""
    return {
        "ids": [f"row-{number}" for number in range(len(given))],
        "texts": list(given),
        "speakers": [""] * len(given),
        "custom": [{"instruction": "say", "given": text, **custom} for text in given],
        "seconds": float(len(given)),
    }


def kept(folder, task=None, **config):
    """A run folder with `task` as it is, nobody having trained it."""
    task = policy() if task is None else task
    made.write(folder, {**CONFIG, "name": "tiny", **config}, task.state(), weights.tensors(task), {"run": "none"})
    return folder


def manifest(folder, rows, name="train"):
    """A manifest of text alone; `rows` are (what is given, custom fields)."""
    place = folder / f"{name}.jsonl.gz"
    made_rows = []
    for number, (given, custom) in enumerate(rows):
        fields = {"instruction": "say", "given": given, **custom}
        seconds = Utterance.reading_seconds(given)
        made_rows.append(Utterance(f"{name}-{number}", "", seconds, 0, text=given, custom=fields))
    manifests.save(place, made_rows)
    return place


def preferred(count=12):
    """Rows that prefer what was asked for to its reverse."""
    words = ["abc", "fed", "cab", "ace", "bed", "fade"]
    return [(words[n % 6], {"chosen": words[n % 6], "rejected": {"text": words[n % 6][::-1]}}) for n in range(count)]


def recipe(task, train, **settings):
    """A short recipe of a tuning task on the CPU."""
    data = {"train": str(train), "batch_seconds": 2.0, **settings.pop("data", {})}
    plain = {"steps": 6, "tracking": [], "checkpoint_every": 3, "log_every": 1, "accelerator": "cpu", "lr": 1e-3}
    told = {"name": "tune", "seed": 3, "task": task, "data": data, "train": plain | settings}
    return Recipe.from_dict(told)


def lines(folder):
    """What a run logged, a mapping for every line."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
