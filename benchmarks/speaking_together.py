"""Sixteen texts said together against one by one by a trained run, as `speak --batch` and the data engine say them.

Both ways go through `Synthesiser`, take turns in one process with one thread, and are timed by the processor time of
the whole call, from text to samples; the figure is the ratio of the medians. `apart` is the most by which a sample of
one way differs from the same of the other (full scale is 1). Where there is no run, one of the recipe's size that
nobody trained speaks, held to a natural length; the line says `trained`. Target, written before the first scored run:
2.0 or more. Run with
``python benchmarks/speaking_together.py [--run RUN] [--texts FILE] [--rounds N] [--device NAME]``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stentor.config import compose
from stentor.data.resample import Samples
from stentor.train import made, weights
from stentor.train.assembly import assemble
from stentor_tts.speaking.run import RunSpeaker
from stentor_tts.speaking.synthesiser import Synthesiser

TARGET = 2.0
TEXTS = (
    "turn the lights in the kitchen off",
    "please play some quiet music in the bedroom",
    "what will the weather be like tomorrow",
    "set a timer for twenty minutes",
    "call my brother when I get home",
    "add bread and butter to the list",
    "close the door",
    "how far is it to the next station",
    "wake me at seven on weekdays and at nine on Sundays",
    "the train to the coast leaves in a quarter of an hour",
    "stop",
    "read the last message again",
    "it has been raining since the early morning",
    "lower the heating in the hall by two degrees",
    "who wrote the book on the table",
    "tell my sister that I will be late",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/speak"), help="a run, or an export (default runs/speak)")
    parser.add_argument("--texts", type=Path, help="a file with one text a line, in place of sixteen of ours")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each way (default 5)")
    parser.add_argument("--device", default="cpu", help="where to compute (default cpu)")
    arguments = parser.parse_args()
    texts = [text for text in (arguments.texts.read_text().splitlines() if arguments.texts else TEXTS) if text.strip()]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trained = arguments.run.exists()
        speaker = RunSpeaker(arguments.run if trained else untrained(Path(folder)), device=arguments.device)
        told = speaker.load_pretrained()
        found = measure(Synthesiser(speaker), texts, arguments.rounds)
    line = {"benchmark": "speaking_together", "run": str(arguments.run) if trained else "", "trained": trained,
            "step": int(told["step"]), "texts": len(texts), "rounds": arguments.rounds, "device": str(speaker.device),
            **found, "target": TARGET, "passed": found["ratio"] >= TARGET}  # fmt: skip
    print(json.dumps(line))
    return 0


def untrained(folder: Path) -> Path:
    """A run of the recipe's size, its parts too, with random weights."""
    torch.manual_seed(0)
    config = compose("tts/speak").config
    sections = {role: {key: value for key, value in config[role].items() if key != "run"}
                for role in ("task", "backbone", "text", "codec", "acoustic", "vocoder")}  # fmt: skip
    sections["task"]["slowest"] = 12.0  # ids a second, as people speak: it rambles on for as long as it may
    task = assemble(sections, texts=list(TEXTS))
    made.write(folder, {"name": "untrained", **sections}, task.state(), weights.tensors(task), {"run": "none"})
    return folder


def measure(synthesiser: Synthesiser, texts: list[str], rounds: int) -> dict[str, Any]:
    """Medians of both ways (s), after a call of each that is not counted."""
    ways: dict[str, Callable[[], list[Samples]]] = {
        "alone": lambda: [synthesiser.speak(text) for text in texts],
        "together": lambda: [given(one) for one in synthesiser.speak_all([synthesiser.stream(text) for text in texts])],
    }
    alone, together = (way() for way in ways.values())
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before = time.process_time()
            way()
            spent[name].append(time.process_time() - before)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    apart = [np.abs(one - other).max(initial=0) if len(one) == len(other) else 2.0
             for one, other in zip(alone, together, strict=True)]  # fmt: skip
    return {
        "ratio": round(medians["alone"] / medians["together"], 2),
        "alone_seconds": round(medians["alone"], 3),
        "together_seconds": round(medians["together"], 3),
        "audio_seconds": round(sum(map(len, alone)) / synthesiser.speaker.sample_rate, 2),
        "apart": float(f"{max(apart):.2g}"),
        "load": round(os.getloadavg()[0], 2),
    }


def given(found: Samples | Exception) -> Samples:
    """What was said, or the exception that stands in its place."""
    if isinstance(found, Exception):
        raise found
    return found


if __name__ == "__main__":
    sys.exit(main())
