"""Tunes, kills and resumes in forked processes; prints what came of it as JSON. Run by `test_resume_tuning`.

Its pieces are those of the core's own test of kills.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import kills
import tiny
import tiny_voice
import torch

from stentor.config import Recipe
from stentor.plugins import registry
from stentor.train.run import fit
from stentor_align.tasks.dpo import DPOTask
from stentor_align.tasks.reinforced import ReinforcedTask

STARTS = {"name": "format", "pattern": "a.*"}
TASKS = {
    "dpo": {},
    "grpo": {"samples": 4, "iterations": 2, "kl": 0.1, "reward": STARTS},
    "ppo": {"samples": 2, "iterations": 2, "warmup": 4, "kl_target": 1.0, "reward": STARTS},
    "raft": {"samples": 4, "reward": STARTS},
    "ahead": {
        "name": "grpo",
        "samples": 4,
        "reward": STARTS,
        "workers": {"rollout": True, "ahead": True, "reward": 1},
    },
}


def kill_at_batch(number: int) -> None:
    """In the middle of a step: the loss of the batch does not return."""
    for task in (DPOTask, ReinforcedTask):
        original, calls = task.training_loss, [0]

        def loss(self, batch, original=original, calls=calls):
            calls[0] += 1
            return kills.die() if calls[0] > number else original(self, batch)

        task.training_loss = loss


def voice(folder: Path) -> Recipe:
    """Reinforcement learning of a policy that speaks, each row of which has a grammar of its own."""
    tiny_voice.register_reward()
    parent, train = tiny_voice.kept(folder / "voice"), tiny_voice.manifest(folder / "texts.jsonl.gz", ["stop", "set"])
    options = {"samples": 4, "iterations": 2, "kl": 0.1, "reward": {"name": "few"}}
    return tiny.recipe({"name": "grpo", "run": str(parent), **options}, train, steps=kills.STEPS)


def main(folder: Path) -> dict:
    parent = tiny.kept(folder / "parent")
    train = tiny.manifest(folder, tiny.preferred())
    recipes = {
        name: tiny.recipe({"name": name, "run": str(parent), **options}, train, steps=kills.STEPS)
        for name, options in TASKS.items()
    }
    fit(tiny.recipe({"name": "dpo", "run": str(parent)}, train, steps=1), folder / "warm", progress=False)
    if "speaking-lm" in registry().names("task"):
        recipes["voice"] = voice(folder)
    found = {}
    for name, recipe in recipes.items():
        kills.forked(lambda recipe=recipe, name=name: fit(recipe, folder / f"{name}-whole", progress=False))
        expected = kills.final(folder / f"{name}-whole")
        cases = [lambda: kill_at_batch(4), lambda: kill_at_batch(2)]  # at step 5, and again at step 6
        found[name] = kills.scenario(folder / f"{name}-killed", recipe, expected, *cases)
    if "voice" in recipes:
        fit(recipes["voice"], folder / "voice-here", progress=False)
        found["modules"] = sorted(name for name in sys.modules if name.startswith("stentor_tts."))
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("RESULT " + json.dumps(main(Path(sys.argv[1]))))
