"""A task that speaks, metrics of what it says, and a set: what the tests of spoken evaluation share."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.evaluate.runner import Subject, evaluate_set
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.metric import AudioMetric
from stentor.interfaces.task import Task
from stentor.plugins import registry

RATE = 8000
TEXTS = ["turn left", "open the door", "what time is it", "stop"]


class Echo(Task):
    """Says again what it hears, half as loud."""

    capabilities = frozenset({"speaks"})
    roles = {}
    metrics = ("loudness",)

    def __init__(self, *, gain: float = 0.5, breaks=(), says=None) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.breaks, self.says, self.calls = breaks, says, []

    @classmethod
    def assemble(cls, sections, *, texts=None, state=None, **configured):
        return cls(**configured)

    @property
    def sample_rate(self):
        return RATE

    def training_loss(self, batch):
        raise NotImplementedError

    def synthesise(self, batch):
        self.calls.append(batch["ids"])
        if set(batch["ids"]) & set(self.breaks):
            raise RuntimeError("no voice")
        if self.says is not None:
            return [self.says for _ in batch["ids"]]
        rows = zip(batch["audio"], batch["audio_lengths"].tolist(), strict=True)
        return [row[:length] * self.gain for row, length in rows]


class Loudness(AudioMetric):
    """Mean magnitude of what is said."""

    lower_is_better, unit = False, ""

    def __init__(self, *, factor: float = 1.0) -> None:
        self.factor = factor

    def measure(self, rows):
        found = [float(np.abs(row.output.read(RATE)).mean()) * self.factor for row in rows]
        for row, value in zip(rows, found, strict=True):
            row.notes["loud"] = round(value, 3)
        return [(value, 1.0) for value in found]


class Gap(AudioMetric):
    """Mean difference to the reference, in blocks of two rows."""

    needs = frozenset({"reference"})

    def measure(self, rows):
        pairs = [(row.output.read(RATE), row.reference.read(RATE)) for row in rows]
        return [(float(np.abs(a - b).mean()), 1.0) for a, b in pairs]

    def blocks(self, rows):
        return [list(range(start, min(start + 2, len(rows)))) for start in range(0, len(rows), 2)]


class Ear(AudioMetric):
    """Pretends to hear the first word of the text alone; counts words."""

    def load_pretrained(self):
        return {"source": "nowhere"}

    def measure(self, rows):
        for row in rows:
            row.notes.setdefault("heard", {})["ear"] = row.text.split()[0]
        return [(len(row.text.split()) - 1.0, float(len(row.text.split()))) for row in rows]

    def unspoken(self, text):
        return float(len(text.split())), float(len(text.split()))


def register() -> None:
    known = registry()
    for name in ("Loudness", "Gap", "Ear"):
        if name.lower() not in known.names("metric"):
            known.add("metric", name.lower(), f"{__name__}:{name}")


def corpus(folder):
    """Tones of 0.5 s and more at 0.4 with a text each; the last row names a prompt."""
    rows = []
    for index, text in enumerate(TEXTS):
        samples = int((0.5 + 0.25 * index) * RATE)
        file = folder / f"{index}.wav"
        audio.write(file, 0.4 * np.sin(np.arange(samples) / 5).astype(np.float32), RATE)
        told = {"text": text, "speaker": "eve", "custom": {"prompt": "0.wav"} if index == 3 else {}}
        rows.append(Utterance(f"u/{index}", str(file), samples / RATE, RATE, frames=samples, **told))
    manifest.save(folder / "set.jsonl.gz", rows)
    return folder / "set.jsonl.gz"


def run(task, path, folder, metrics=(), **changes):
    fresh = changes.pop("fresh", False)
    settings = EvaluateSettings(metrics=list(metrics), bootstrap=200, batch_size=2, device="cpu", **changes)
    subject = Subject(task, folder / "run", "echo", task.metrics)
    return evaluate_set(subject, "held-out", str(path), settings, fresh=fresh)
