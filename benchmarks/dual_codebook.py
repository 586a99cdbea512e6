"""Two codebooks against one: next-token perplexity of each stream, and errors of what is said again.

    python benchmarks/dual_codebook.py [FOLDER]

Needs the tokenizer and the vocoder of the recipes in runs/tokenizer and runs/vocoder, and the corpus of one voice:
stentor prepare styles -o corpora/one-voice utterances=1500 styled=0 inline=0 whisper=0 'voices=[]'. Every arm sees as
many codes in a step of its language model as the others, and as much sound in a step of its acoustic model. Begins
where it was cut off; prints one JSON line, and writes the tables to FOLDER/table.md. All speech is synthetic.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stentor.evaluate import significance

ARMS = ("both", "linguistic", "semantic")
SEEDS = (1, 2, 3)
STREAMS = {"both": ("linguistic", "semantic"), "linguistic": ("linguistic",), "semantic": ("semantic",)}
RATES = {"both": 125 / 3, "linguistic": 50 / 3, "semantic": 25.0}  # codes per second (Hz)
CODES = 600
"""In a step of a language model."""
LM_STEPS, FLOW_STEPS = 400, 250
CORPUS = Path("corpora/one-voice")
JUDGES = ("wer-whisper", "wer-moonshine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/dual-codebook"))
    parser.add_argument("--only", choices=("lm", "flow"), help="one half of it")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if lacking := [str(path) for path in (CORPUS, Path("runs/tokenizer"), Path("runs/vocoder")) if not path.exists()]:
        print(json.dumps({"benchmark": "dual_codebook", "skipped": f"needs {', '.join(lacking)}"}))
        return
    for seed in SEEDS:
        for arm in ARMS:
            if arguments.only != "flow":
                speak(folder / f"lm-{arm}-{seed}", arm, seed)
            if arguments.only != "lm":
                resynthesise(folder / f"flow-{arm}-{seed}", arm, seed)
    if arguments.only is None:
        found = results(folder)
        (folder / "table.md").write_text(table(found), encoding="utf-8")
        print(json.dumps({"benchmark": "dual_codebook", "seeds": list(SEEDS), **found}))


def speak(run: Path, arm: str, seed: int) -> None:
    """Train the language model of an arm."""
    train(
        run,
        "tts/speak",
        f"codec.streams={arm}",
        f"seed={seed}",
        f"data.batch_seconds={CODES / RATES[arm]:.2f}",
        f"data.valid={CORPUS}/heldout-sentences.jsonl.gz",
        f"train.steps={LM_STEPS}",
        "task.voices=[hibari]",
        "train.valid_every=0",
    )


def resynthesise(run: Path, arm: str, seed: int) -> None:
    """Train the acoustic model of an arm, and let the judges hear what it says again."""
    train(
        run,
        "tts/flow",
        f"codec.streams={arm}",
        f"seed={seed}",
        f"data.valid={CORPUS}/valid.jsonl.gz",
        f"train.steps={FLOW_STEPS}",
        "vocoder=source-filter",
        "vocoder.run=runs/vocoder",
    )
    if not (run / "evaluation/heldout.json").exists():
        stentor(
            "evaluate", str(run), f"heldout={CORPUS}/heldout-sentences.jsonl.gz", f"evaluate.metrics={list(JUDGES)}"
        )


def train(run: Path, recipe: str, *changes: str) -> None:
    """Train a cell, or go on with it."""
    if not (run / "config.yaml").exists():
        data = f"data.train={CORPUS}/train.jsonl.gz"
        stentor("train", recipe, "--run", str(run), "codec.run=runs/tokenizer", data, "train.tracking=[]", *changes)
    elif logged(run)[-1]["step"] < (LM_STEPS if recipe == "tts/speak" else FLOW_STEPS):
        stentor("train", "--resume", str(run))


def stentor(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "stentor", *words], check=True, stdout=sys.stderr)


def logged(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines] or [{"step": 0}]


def perplexity(run: Path, stream: str) -> float:
    """Of the held-out sentences' codes, at the end of training."""
    return math.exp(
        next(line[f"valid_nats_{stream}"] for line in reversed(logged(run)) if f"valid_nats_{stream}" in line)
    )


def error(run: Path, judge: str) -> float:
    """Word error rate by a judge (%)."""
    told = json.loads((run / "evaluation/heldout.json").read_text(encoding="utf-8"))
    return float(told["metrics"][judge]["value"])


def results(folder: Path) -> dict[str, Any]:
    """Measure -> arm -> values by seed, and each single arm minus both."""
    found: dict[str, Any] = {}
    for stream in STREAMS["both"]:
        arms = ("both", stream)
        values = {arm: [perplexity(folder / f"lm-{arm}-{seed}", stream) for seed in SEEDS] for arm in arms}
        found[f"perplexity {stream}"] = compared(values)
    for judge in JUDGES:
        found[judge] = compared({arm: [error(folder / f"flow-{arm}-{seed}", judge) for seed in SEEDS] for arm in ARMS})
    return found


def compared(values: dict[str, list[float]]) -> dict[str, Any]:
    """The values, and the difference of every single arm to both with its interval over seeds."""
    return {
        arm: {
            "values": numbers,
            **({} if arm == "both" else {"minus both": interval(values["both"], numbers)}),
        }
        for arm, numbers in values.items()
    }


def interval(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Mean of second minus first, with Student's t interval over seeds (95 %)."""
    found = significance.compare_seeds(first, second)
    return {"value": found.difference, "low": found.low, "high": found.high}


def table(found: dict[str, Any]) -> str:
    """What was measured, one row for each measure and arm."""
    rows = ["| measure | arm | seed 1 | seed 2 | seed 3 | minus both |", "|---|---|---|---|---|---|"]
    for measure, arms in found.items():
        for arm, told in arms.items():
            gap = told.get("minus both")
            shown = f"{gap['value']:+.2f} [{gap['low']:.2f}, {gap['high']:.2f}]" if gap else ""
            rows.append(f"| {measure} | {arm} | " + " | ".join(f"{v:.2f}" for v in told["values"]) + f" | {shown} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
