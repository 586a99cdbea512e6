"""A run that speaks, as small as can be and untrained: what it says is noise, but all of its parts are there."""

from pathlib import Path

import torch

from stentor_tts.lm.task import SpeakingLM
from stentor_tts.speaking.run import RunSpeaker

TEXTS = [
    "turn left at the bridge, please.",
    "one two three four five six seven eight nine ten",
    "quick brown fox jumps",
]
SECTIONS = {
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
    "codec": {"name": "dual", "streams": "semantic", "semantic": 16},
    "acoustic": {"name": "flow-dit", "dim": 32, "layers": 1, "heads": 2, "hidden": 32, "steps": 2, "chunk": 1,
                 "lookahead": 0},
    "vocoder": {"name": "vocos", "dim": 32, "layers": 2},
}  # fmt: skip


def task(**changes):
    """The task; sections by name, e.g. ``acoustic=None`` to leave one out; the rest is configured."""
    torch.manual_seed(0)
    sections = {name: changes.pop(name, section) for name, section in SECTIONS.items()}
    kept = {name: section for name, section in sections.items() if section is not None}
    return SpeakingLM.assemble(kept, texts=TEXTS, **{"voices": ("ada",), "slowest": 40.0, **changes}).eval()


def speaker(**changes):
    """A speaker with `task`, without a folder."""
    made = RunSpeaker(Path("tiny"), device="cpu")
    made._task = task(**changes)
    made.sample_rate, made.inventory = made._task.sample_rate, made._task.inventory
    return made
