"""A tiny task with dropout, a corpus of noise, and a script that trains it: what the training tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from stentor.config import Recipe
from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.interfaces.task import Loss, Task
from stentor.plugins import registry
from stentor.train.assembly import build_role

RATE = 8000
HOP = 160


class ToyEncoder(Encoder):
    """One frame of 8 numbers per 20 ms; `pretrained` stands for weights that come from somewhere else."""

    dim, frame_rate, sample_rate = 8, 50.0, RATE

    def __init__(self, *, pretrained: int = 0) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.linear = nn.Linear(HOP, self.dim)
        self.norm = nn.BatchNorm1d(self.dim)

    @classmethod
    def spec(cls, *, pretrained: int = 0) -> EncoderSpec:
        return EncoderSpec(cls.dim, cls.frame_rate, cls.sample_rate)

    def load_pretrained(self):
        if not self.pretrained:
            return {}
        source = torch.Generator().manual_seed(self.pretrained)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(self.linear.weight.shape, generator=source))
        return {"source": f"seed {self.pretrained}"}

    def frames(self, samples: int) -> int:
        return samples // HOP

    def forward(self, audio, lengths):
        whole = audio[:, : audio.shape[1] // HOP * HOP].unflatten(1, (-1, HOP))
        frames = self.linear(whole)
        return self.norm(frames.transpose(1, 2)).transpose(1, 2), lengths // HOP


class ToyTask(Task):
    """Guesses the first letter from the mean frame."""

    roles = {"encoder": "encoder"}

    def __init__(self, encoder, *, dropout: float = 0.2, poison: str = "") -> None:
        super().__init__()
        self.encoder, self.poison, self.seen = encoder, poison, []
        self.head = nn.Sequential(nn.Linear(encoder.dim, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 4))

    @classmethod
    def assemble(cls, sections, *, texts=None, state=None, **configured):
        return cls(build_role(cls, sections, "encoder"), **configured)

    @property
    def sample_rate(self) -> int:
        return RATE

    def cached_encoder(self):
        return None if any(p.requires_grad for p in self.encoder.parameters()) else self.encoder

    def logits(self, batch):
        if "frames" in batch:
            frames, lengths = batch["frames"], batch["frame_lengths"]
        else:
            frames, lengths = self.encoder(batch["audio"], batch["audio_lengths"])
        valid = torch.arange(frames.shape[1])[None] < lengths[:, None]
        return self.head((frames * valid[..., None]).sum(1) / lengths[:, None])

    def training_loss(self, batch):
        self.seen.append(tuple(batch["ids"]))
        targets = torch.tensor([ord(text[0]) - ord("a") for text in batch["texts"]])
        loss = functional.cross_entropy(self.logits(batch), targets)
        if self.poison in batch["ids"]:
            loss = loss * float("nan")
        return Loss(loss, len(targets), {"letters": float(loss.detach())})

    def predict(self, batch):
        return ["abcd"[i] for i in self.logits(batch).argmax(1)]


def register() -> None:
    names = registry()
    if "toy" not in names.names("task"):
        names.add("task", "toy", f"{__name__}:ToyTask")
        names.add("encoder", "toy", f"{__name__}:ToyEncoder")


def corpus(folder: Path, count: int = 24, name: str = "train") -> Path:
    """Noise of 0.2 to 1 s with a letter each."""
    random = np.random.default_rng(5)
    rows = []
    for number in range(count):
        seconds = 0.2 + 0.8 * random.random()
        samples = (0.1 * random.standard_normal(round(seconds * RATE))).astype(np.float32)
        path = folder / f"{name}{number:03d}.wav"
        audio.write(path, samples, RATE)
        length = len(samples) / RATE
        text = "abcd"[number % 4]
        rows.append(Utterance(path.stem, str(path), length, RATE, text=text, speaker="n", frames=len(samples)))
    place = folder / f"{name}.jsonl.gz"
    manifest.save(place, rows)
    return place


def recipe(train: Path, *, encoder=(), task=(), data=(), valid: Path | None = None, **settings) -> Recipe:
    register()
    return Recipe.from_dict(
        {
            "name": "toy",
            "seed": 3,
            "task": {"name": "toy", **dict(task)},
            "encoder": {"name": "toy", **dict(encoder)},
            "data": {"train": str(train), "valid": str(valid or ""), "batch_seconds": 3.0, **dict(data)},
            "train": {"steps": 12, "tracking": [], "checkpoint_every": 4, "log_every": 1, "accelerator": "cpu"}
            | settings,
            "evaluate": {},
        }
    )
