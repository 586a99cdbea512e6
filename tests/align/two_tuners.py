"""Tunes in two processes that Lightning starts, or goes on with such a run. Run by `test_two_tuners`."""

import math
import sys
import warnings
from pathlib import Path

import tiny
import torch

from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train import fit, resume
from stentor.train.assembly import build
from stentor.train.weights import combined, digests


class OneSided(Reward):
    """The second process's samples are all lost; those of the first are rewarded for beginning with an a."""

    nature = "verifiable"

    def score(self, prompts, responses):
        if torch.distributed.get_rank() == 1:
            return Scores(torch.full((len(responses),), math.nan), {})
        return build("reward", {"name": "format", "pattern": "a.*"}).score(prompts, responses)


def watch(task, folder):
    """Each process tells the hash of its weights before every step in which its task samples."""
    original = task.training_loss

    def training_loss(self, batch):
        with (folder / f"weights-{torch.distributed.get_rank()}.txt").open("a") as file:
            file.write(combined(digests(self)) + "\n")
        return original(self, batch)

    task.training_loss = training_loss


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    verb, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    reward = {"name": "format", "pattern": "a.*"}
    if verb == "lose":
        registry().add("reward", "one-sided", f"{__name__}:OneSided")
        watch(registry().get("task", name).load(), folder.parent)
        reward = {"name": "one-sided"}
    if verb == "resume":
        resume(folder, progress=False)
    else:
        options = {"samples": 2, "reward": reward}
        more = {"ppo": {"warmup": 2, "kl_target": 1.0, "iterations": 2}, "grpo": {"kl": 0.1}, "raft": {}}
        workers = {"rollout": True, "reward": 1} if verb == "apart" else {}
        more[name] |= {"workers": workers}
        task = {"name": name, "run": str(folder.parent / "parent"), **options, **more[name]}
        train = folder.parent / "train.jsonl.gz"
        recipe = tiny.recipe(task, train, steps=6, devices=2, strategy="ddp", weight_decay=0.0)
        fit(recipe, folder, progress=False)
