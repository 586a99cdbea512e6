"""Trains in two processes that Lightning starts, or goes on with such a run. Run by `test_two_processes`."""

import sys
import warnings
from pathlib import Path

import torch
import toy

from stentor.train import fit, resume

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    toy.register()
    folder = Path(sys.argv[2])
    if sys.argv[1] == "resume":
        resume(folder, progress=False)
    else:
        train = folder.parent / "train.jsonl.gz"
        fit(
            toy.recipe(train, valid=train, steps=6, checkpoint_every=3, devices=2, strategy="ddp"),
            folder,
            progress=False,
        )
