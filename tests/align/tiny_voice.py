"""A small policy that speaks made-up codes, and a reward that needs no sound: shared by the tests of tuned voices."""

from __future__ import annotations

import torch

from stentor.data import manifest as manifests
from stentor.data.utterance import Utterance
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train import made, weights
from stentor.train.assembly import assemble

TEXTS = ["turn on the radio", "set an alarm for noon", "stop"]
CONFIG = {
    "name": "voice",
    "task": {"name": "speaking-lm", "voices": ["ada"], "slowest": 40.0},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
    "codec": {"name": "dual", "linguistic": 20, "semantic": 30},
}


class Few(Reward):
    """More for fewer codes; reads tokens alone."""

    nature = "verifiable"

    def score(self, prompts, responses):
        return Scores(-torch.tensor([float(len(one["tokens"])) for one in responses]), {})


def register_reward():
    """Under the name ``few``."""
    registry().add("reward", "few", f"{__name__}:Few")


def policy(order="by-word"):
    torch.manual_seed(0)
    task = assemble({**CONFIG, "task": {**CONFIG["task"], "order": order}}, texts=TEXTS).eval()
    with torch.no_grad():
        for parameter in task.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    return task


def kept(folder):
    """A run folder of a voice that nobody trained."""
    task = policy()
    made.write(folder, CONFIG, task.state(), weights.tensors(task), {"run": "none"})
    return folder


def manifest(path, texts):
    """Texts to be said, without sound."""
    rows = [Utterance(f"row-{place}", "", 1.0, 0, text=text, speaker="ada") for place, text in enumerate(texts)]
    manifests.save(path, rows)
    return path
