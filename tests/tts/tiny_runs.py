"""The runs behind a voice, of one step each: tokenizer, acoustic model, vocoder, and a language model over them."""

import numpy as np
import soundfile

from stentor.config import Recipe
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.train import fit

RATE = 16000
TEXTS = ["red lamp", "blue lamp on", "blue door", "red door open now"]
CODEC = {"name": "dual", "streams": "semantic", "semantic": 16}
ACOUSTIC = {"name": "flow-dit", "dim": 32, "layers": 1, "heads": 2, "hidden": 32, "steps": 2}
VOCODER = {"name": "vocos", "dim": 32, "layers": 2}


def corpus(folder):
    """Eight recordings of hums by two voices."""
    rows = []
    for number in range(8):
        path, seconds = folder / f"{number}.wav", 1.0 + 0.1 * number
        time = np.arange(round(seconds * RATE)) / RATE
        soundfile.write(path, 0.2 * np.sin(2 * np.pi * (100 + 20 * number) * time) * np.sin(6 * time) ** 2, RATE)
        told = {"text": TEXTS[number % 4], "speaker": ("ada", "bruno")[number % 2], "custom": {"synthetic": True}}
        rows.append(Utterance(path.stem, str(path), seconds, RATE, frames=len(time), **told))
    manifest.save(folder / "train.jsonl.gz", rows)
    return folder / "train.jsonl.gz"


def trained(folder, train, name, **sections):
    """One step of a recipe with these sections into ``folder/name``."""
    data = {"train": str(train), "max_items": 4}
    settings = {"steps": 1, "tracking": [], "accelerator": "cpu"}
    recipe = Recipe.from_dict({"name": name, **sections, "data": data, "train": settings, "evaluate": {}})
    fit(recipe, folder / name, progress=False)
    return str(folder / name)


def voice(folder):
    """All of it; the run called ``voice`` speaks."""
    train = corpus(folder)
    tokenizer = trained(folder, train, "tokenizer", task={"name": "dual-tokenizer"}, codec=CODEC)
    codec = {**CODEC, "run": tokenizer}
    flow = trained(folder, train, "flow", task={"name": "flow"}, codec=codec, acoustic=ACOUSTIC)
    vocoder = trained(folder, train, "vocoder", task={"name": "vocoder", "channels": 4}, vocoder=VOCODER)
    return trained(
        folder,
        train,
        "voice",
        task={"name": "speaking-lm", "voices": ["ada", "bruno"], "slowest": 40.0},
        backbone={"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
        text={"name": "characters"},
        codec=codec,
        acoustic={**ACOUSTIC, "run": flow},
        vocoder={**VOCODER, "run": vocoder},
    )
