"""Tunes in two processes that Lightning starts, or goes on with such a run. Run by `test_two_tuners`."""

import sys
import warnings
from pathlib import Path

import tiny
import torch

from stentor.train import fit, resume

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    verb, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if verb == "resume":
        resume(folder, progress=False)
    else:
        options = {"samples": 2, "reward": {"name": "format", "pattern": "a.*"}}
        more = {"warmup": 2, "kl_target": 1.0, "iterations": 2} if name == "ppo" else {"kl": 0.1}
        task = {"name": name, "run": str(folder.parent / "parent"), **options, **more}
        train = folder.parent / "train.jsonl.gz"
        recipe = tiny.recipe(task, train, steps=6, devices=2, strategy="ddp", weight_decay=0.0)
        fit(recipe, folder, progress=False)
