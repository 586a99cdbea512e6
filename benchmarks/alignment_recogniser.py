"""Reinforcement learning on transcripts: does a weak recogniser get better by its own error rate, and for people too?

A recogniser (recipe `asr/speechlm`) is trained short on half of a synthetic corpus, so that it is weak. On the other
half it samples transcripts, and their word error rate is all that it is told: by GRPO (recipe `align/recogniser`), or
by RAFT, which imitates the best of its samples and is what GRPO has to beat. Three seeds of each, from one recogniser.

Corpora: spoken commands, and digit strings in the voices of the commands; all of it is synthetic. With ``--real
FOLDER`` (the Free Spoken Digit Dataset: ``manifest.jsonl`` and recordings) strings of four to six digits are put
together of human recordings, which nothing was trained on or rewarded for.

Run ``python benchmarks/alignment_recogniser.py [--real FOLDER]``; cut short, it goes on where it was. One JSON line for
each figure; intervals are paired bootstraps over utterances, whose errors are means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared.speech import falls, interval, logged, stentor, train

from stentor.data import audio, manifest
from stentor.data.settings import DataSettings
from stentor.data.utterance import Utterance
from stentor.evaluate.alignment import distance
from stentor.evaluate.metrics import WordErrorRate
from stentor.train import run as runs_of
from stentor.train.batches import Batches

SEEDS = (1, 2, 3)
ARMS = {"grpo": (), "raft": ("task=raft", "task.reward={name: wer}", "task.sampling={temperature: 0.7, longest: 40}")}
RATE = 8000  # Hz, of the human recordings
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = ("hibari", "espeak:en-us", "espeak:en-us+f2", "espeak:en-us+edward", "espeak:en-us+Michael",
          "espeak:en-us+steph")  # fmt: skip
ROWS = {"commands": 400, "digits": 200}
"""Of each corpus, for the first training and again for the second."""
BASE = ("backbone.dim=96", "backbone.layers=2", "adapter.hidden=192", "text.pieces=160", "data.batch_seconds=30",
        "train.steps=500", "train.minutes=0", "train.lr=3e-3", "train.checkpoint_every=100", "seed=1")  # fmt: skip
TARGETS = {"heldout-sentences", "human-digits"}
"""Sets on which GRPO has to lower the WER, the whole interval of the paired difference below 0; the others are reported
without a target. Written before the first scored run."""

Scored = Mapping[str, tuple[str, str, tuple[float, float]]]
"""Utterance -> reference, output, (errors, words)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of human digits, with manifest.jsonl")
    parser.add_argument("--folder", type=Path, default=Path("runs/alignment-recogniser"))
    parser.add_argument("--corpora", type=Path, default=Path("corpora"))
    parser.add_argument("--arms", default="grpo,raft", help="which of grpo and raft to train and score")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
    folder, corpora = arguments.folder, arguments.corpora
    sets = corpus(corpora, folder, arguments.real)
    base = train(folder / "base", "asr/speechlm", f"data.train={folder}/base.jsonl.gz",
                 f"data.valid={folder}/valid.jsonl.gz", *BASE)  # fmt: skip
    runs = {
        arm: [
            train(folder / f"{arm}-{seed}", "align/recogniser", *changes, f"task.run={base}", f"seed={seed}",
                  f"data.train={folder}/prompts.jsonl.gz", f"data.valid={folder}/valid.jsonl.gz")
            for seed in SEEDS
        ]
        for arm, changes in ARMS.items() if arm in arguments.arms.split(",")
    }  # fmt: skip
    heard = {name: Heard(path, base) for name, path in sets.items()}
    before = outputs(base, heard)
    after = {arm: [outputs(run, heard) for run in found] for arm, found in runs.items()}
    for name in sets:
        report(name, before[name], {arm: [one[name] for one in found] for arm, found in after.items()})
    for arm, found in runs.items():
        guards(arm, found)


def corpus(corpora: Path, folder: Path, real: Path | None) -> dict[str, Path]:
    """Make what is missing; returns the sets that are scored."""
    if not (corpora / "commands/summary.json").exists():
        stentor("prepare", "commands", "-o", str(corpora / "commands"), "utterances=1600", "workers=1")
    if not (corpora / "digits/summary.json").exists():
        texts = folder / "digits.txt"
        texts.parent.mkdir(parents=True, exist_ok=True)
        texts.write_text("".join(f"{text}\n" for text in strings(560, random.Random(7))), encoding="utf-8")
        voices = [word for voice in VOICES for word in ("--voice", voice)]
        stentor("synthesise", str(texts), "-o", str(corpora / "digits"), *voices, "--takes", "1", "--styled", "0.3",
                "--valid", "0.05", "--seed", "1")  # fmt: skip
    if not (folder / "prompts.jsonl.gz").exists():
        halves(corpora, folder)
    sets = {name: corpora / f"commands/{name}.jsonl.gz" for name in ("heldout-sentences", "heldout-voice")}
    sets["digits"] = corpora / "digits/valid.jsonl.gz"
    if real is not None:
        sets["human-digits"] = human(real, folder / "human")
    return sets


def strings(count: int, rng: random.Random) -> list[str]:
    """Different strings of three to six digits, in words."""
    found: set[str] = set()
    while len(found) < count:
        found.add(" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 6))))
    return sorted(found)


def halves(corpora: Path, folder: Path) -> None:
    """What the recogniser learns from first, and what it is rewarded on: commands and digits each, never the same."""
    parts: tuple[list[Utterance], list[Utterance]] = ([], [])
    for name, count in ROWS.items():
        rows = manifest.load(corpora / name / "train.jsonl.gz")
        random.Random(0).shuffle(rows)
        for place, part in enumerate(parts):
            part += [replace(row, id=f"{name}-{row.id}") for row in rows[place * count :][:count]]
    for name, part in zip(("base", "prompts"), parts, strict=True):
        manifest.save(folder / f"{name}.jsonl.gz", part)
    manifest.save(folder / "valid.jsonl.gz", manifest.load(corpora / "commands/valid.jsonl.gz")[:60])


def human(real: Path, folder: Path, count: int = 160) -> Path:
    """Strings of four to six digits, each of recordings of one speaker, a tenth of a second apart."""
    target = folder / "strings.jsonl.gz"
    if target.exists():
        return target
    lines = [json.loads(line) for line in (real / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    speakers = sorted({line["speaker"] for line in lines})
    rng, rows = random.Random(0), []
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        taken = rng.sample([line for line in lines if line["speaker"] == speaker], rng.randint(4, 6))
        silence = np.zeros(RATE // 10, dtype=np.float32)
        waves = [part for line in taken for part in (silence, audio.read(str(real / line["audio"]), RATE))]
        wave = np.concatenate([*waves, silence])
        path = folder / f"{number:03d}.flac"
        audio.write(path, wave, RATE)
        text = " ".join(line["text"] for line in taken)
        rows.append(Utterance(f"human-{number:03d}", str(path.resolve()), len(wave) / RATE, RATE, text=text,
                              speaker=speaker, frames=len(wave)))  # fmt: skip
    manifest.save(target, rows)
    return target


class Heard:
    """A set whose frames are made once for all recognisers that score it.

    Args:
        path: its manifest.
        like: a run whose encoder hears it.
    """

    def __init__(self, path: Path, like: Path) -> None:
        recipe, task = runs_of.load(like)
        settings = DataSettings(train=str(path), valid=str(path), batch_seconds=60)
        batches = Batches(task, settings, [], task.encoder_sections(recipe.config), progress=False)
        batches.prepare()
        self.batches = list(batches.validation())
        self.metric = WordErrorRate()

    def by(self, task: Any) -> Scored:
        """What a recogniser makes of it, greedily."""
        found = {}
        for batch in self.batches:
            texts = task.predict(batch)
            counts = self.metric.counts(batch["texts"], texts)
            rows = zip(batch["ids"], batch["texts"], texts, counts, strict=True)
            found.update({name: (text, output, pair) for name, text, output, pair in rows})
        return found


def outputs(run: Path, heard: Mapping[str, Heard]) -> dict[str, Scored]:
    """What a run makes of every set; kept in its folder."""
    path = run / "heard.json"
    if not path.exists():
        task = runs_of.load(run)[1].eval()
        path.write_text(json.dumps({name: one.by(task) for name, one in heard.items()}), encoding="utf-8")
    found: dict[str, Scored] = json.loads(path.read_text(encoding="utf-8"))
    return found


def report(name: str, base: Scored, arms: Mapping[str, Sequence[Scored]]) -> None:
    """WER of the recogniser and of both arms, and how far each arm, and GRPO against RAFT, lowers it."""
    before = errors([base])
    print(json.dumps({"set": name, "run": "base", "wer": interval(list(before.values())), "n": len(before),
                      **mistakes([base])}), flush=True)  # fmt: skip
    after = {arm: errors(found) for arm, found in arms.items()}
    for arm, found in arms.items():
        line = {"set": name, "run": arm, "wer": interval(list(after[arm].values())), "n": len(before),
                "seeds": [round(100 * ratio(errors([one])), 2) for one in found], **mistakes(found)}  # fmt: skip
        line["minus_base"] = falls(before, after[arm])
        line["plain"] = [interval(list(plain([base]).values())), interval(list(plain(found).values())),
                         falls(plain([base]), plain(found))]  # fmt: skip
        line["minus_base_seeds"] = [falls(before, errors([one])) for one in found]
        if arm == "grpo":
            line |= {"minus_raft": falls(after["raft"], after[arm])} if "raft" in after else {}
            line |= {"target": "minus_base below 0", "met": line["minus_base"][2] < 0} if name in TARGETS else {}
        print(json.dumps(line), flush=True)


def errors(results: Sequence[Scored]) -> dict[str, tuple[float, float]]:
    """Utterance -> (errors, words), errors being means over several runs."""
    names = sorted(results[0])
    return {name: (float(np.mean([one[name][2][0] for one in results])), results[0][name][2][1]) for name in names}


def plain(results: Sequence[Scored]) -> dict[str, tuple[float, float]]:
    """The same by words as they are spelt: the normaliser of the WER, and of the reward, makes one number of a string
    of digits, which is then right or wrong as a whole."""
    found = {}
    for name in sorted(results[0]):
        wrong = [distance(one[name][0].split(), one[name][1].split()) for one in results]
        found[name] = (float(np.mean(wrong)), float(len(results[0][name][0].split())))
    return found


def ratio(counts: Mapping[str, tuple[float, float]]) -> float:
    return sum(error for error, _ in counts.values()) / sum(words for _, words in counts.values())


def mistakes(results: Sequence[Scored]) -> dict[str, float]:
    """How long outputs are against their references, and how many different words they have: drift tells of gaming."""
    rows = [row for result in results for row in result.values()]
    words = [word for _, output, _ in rows for word in output.split()]
    return {"length": round(len(words) / max(1, sum(len(text.split()) for text, _, _ in rows)), 3),
            "words": len(set(words))}  # fmt: skip


def guards(arm: str, runs: Sequence[Path]) -> None:
    """What training logged first and last, means over the seeds: reward, length, variety, entropy."""
    told: dict[str, Any] = {"run": arm, "training": "means over the seeds, first and last tenth of the steps"}
    for name in ("reward", "length", "distinct", "entropy"):
        values = [logged(run, name) for run in runs]
        ends = [(np.mean(one[: len(one) // 10]), np.mean(one[-(len(one) // 10) :])) for one in values]
        told[name] = [round(float(np.mean(side)), 3) for side in zip(*ends, strict=True)]
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
