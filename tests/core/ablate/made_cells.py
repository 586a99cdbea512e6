"""Cells that do nothing but write what a trained and scored run leaves behind; runs as a cell's process too."""

import json
import random
import sys
import time
from pathlib import Path

from stentor.ablate import cell
from stentor.errors import StentorError
from stentor.evaluate.scoring import build_metrics, score
from stentor.evaluate.settings import EvaluateSettings

ERROR = {"encoder=a": 0.05, "encoder=b": 0.20, "encoder=same": 0.05}


class FakeRecipe:
    def __init__(self, overrides):
        self.config = {"overrides": overrides}


def compose(name, overrides):
    if "encoder=bad" in overrides:
        raise StentorError("there is no encoder 'bad'.", path="encoder")
    return FakeRecipe(overrides)


def fit(recipe, folder):
    words = recipe.config["overrides"]
    (folder / "config.yaml").write_text(f"name: toy\noverrides: {words}\n")
    with (folder / "began.txt").open("a") as file:
        file.write("x")
    if "encoder=crash" in words:
        sys.stderr.write("about to die\n")
        sys.stderr.flush()
        import os

        os._exit(9)
    if "encoder=slow" in words:
        time.sleep(0.4)
    lines = [{"step": s, "elapsed": s / 10, "loss": 5 / s, "valid_wer": 300 / s} for s in range(10, 101, 10)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return True


def evaluate(folder):
    overrides = cell.read(folder / cell.ASKED)["overrides"]
    rate = next((ERROR[word] for word in overrides if word in ERROR), 0.1)
    seed = next((word for word in overrides if word.startswith("seed=")), "")
    dice, rows = random.Random(seed), []
    for index in range(60):
        said = [f"word{dice.randrange(50)}" for _ in range(8)]
        heard = [word if dice.random() > rate else "wrong" for word in said]
        rows.append(
            {"id": f"u{index}", "speaker": "s", "duration": 2.0, "reference": " ".join(said), "audio": "none.wav"}
        )
        rows[-1] |= {"output": " ".join(heard), "seconds": 0.1, "wall_seconds": 0.1}
    metrics = score(rows, build_metrics(["wer"], "none"), EvaluateSettings(bootstrap=300), {})
    (folder / "evaluation").mkdir(exist_ok=True)
    told = {"set": "held-out", "metrics": metrics, "utterances": rows, "rtf": 0.05}
    (folder / "evaluation" / "held-out.json").write_text(json.dumps(told))
    return {"parameters": {"total": 2_000_000, "trainable": 1_820_000}}


STEPS = cell.Steps(compose, fit, fit, evaluate)

if __name__ == "__main__":
    cell.run(Path(sys.argv[1]), STEPS)
