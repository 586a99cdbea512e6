"""The toy world that claims about alignment are tried in: spoken questions, a policy that hears them, and its judges.

Everything runs through the program's own commands, in this process. Speech is synthetic.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared import speech
from shared.speech import logged, stentor
from stentor.config import reading
from stentor.data import manifest
from stentor.data.settings import DataSettings
from stentor.evaluate import significance
from stentor.interfaces.reward import Reward
from stentor.train import run as runs_of
from stentor.train.assembly import build
from stentor.train.batches import Batches
from stentor_align import rollout, runs
from stentor_align.preferences.selecting import Selection, select
from stentor_align.rollout import SamplingSettings
from stentor_align.rows import split

QUESTIONS = Path("corpora/questions")
PEOPLE = Path(__file__).parent / "people.yaml"
SEEDS = (1, 2, 3)
POLICY = (
    "backbone.dim=96", "backbone.layers=2", "adapter.hidden=192", "text.pieces=160", "task.time_masks=0",
    "task.feature_masks=0", "data.batch_seconds=60", "train.steps=400", "train.minutes=0", "train.lr=3e-3",
)  # fmt: skip
"""The policy of the toy world, beside recipe asr/speechlm: a frozen Whisper and 0.6 million parameters behind it."""


@dataclass(frozen=True)
class Said:
    """A response: to which row, the row's fields, its text, its tokens."""

    id: str
    asked: Mapping[str, Any]
    text: str
    tokens: tuple[int, ...]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """What every claim's command line takes: a folder, seeds, and whether to stop before the figures."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", nargs="?", type=Path, default=Path("runs/alignment"))
    made.add_argument("--seeds", type=lambda told: [int(seed) for seed in told.split(",")], default=list(SEEDS))
    made.add_argument("--train-only", action="store_true", help="no figures yet")
    return made


def quiet() -> None:
    """One thread, no network, no bars."""
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"


def ready() -> None:
    """The same, and the corpus, if it is not there yet."""
    quiet()
    if not (QUESTIONS / "train.jsonl.gz").exists():
        stentor("prepare", "spoken-questions", "-o", str(QUESTIONS), "workers=1")


def train(run: Path, recipe: str, *changes: str) -> Path:
    """`speech.train` with one cache of frames for all."""
    return speech.train(run, recipe, *changes, f"data.cache_folder={QUESTIONS}/frames")


def sft(folder: Path, seed: int) -> Path:
    """The policy that a seed begins with: it imitates a demonstrator who does not respond well."""
    data = (f"data.train={QUESTIONS}/train.jsonl.gz", f"data.valid={QUESTIONS}/valid.jsonl.gz")
    return train(folder / f"sft-{seed}", "asr/speechlm", f"seed={seed}", *data, *POLICY)


def clear(folder: Path) -> tuple[str, ...]:
    """Settings for a run on the questions that can be understood, none of those that are buried in noise."""
    for name in ("train", "valid"):
        path = folder / f"clear-{name}.jsonl.gz"
        if not path.exists():
            manifest.save(path, [row for row in manifest.load(QUESTIONS / f"{name}.jsonl.gz") if row.custom["clear"]])
    return f"data.train={folder}/clear-train.jsonl.gz", f"data.valid={folder}/clear-valid.jsonl.gz"


def last(run: Path, *names: str) -> dict[str, float]:
    """The last value of numbers that a run logged."""
    return {name: logged(run, name)[-1] for name in names}


@cache
def policy_of(run: Path) -> Any:
    """The policy of a run, read once."""
    return runs.trained(str(run))[0].eval()


class Room:
    """Rows of a manifest, heard once: their frames come from the cache on disk.

    Args:
        path: of the manifest.
        like: a run of the policy that hears them.
        keep: which rows; None: all.
    """

    def __init__(self, path: Path, like: Path, keep: Any = None) -> None:
        recipe, task = runs_of.load(like)
        settings = DataSettings(train=str(path), valid=str(path), batch_seconds=80)
        batches = Batches(task, settings, [], task.encoder_sections(recipe.config), progress=False)
        batches.valid = [row for row in batches.valid if keep is None or keep(row)]
        batches.prepare()
        self.rows = {row.id: row for row in batches.valid}
        self.batches = list(batches.validation())
        self.heard = {row["ids"][0]: row for batch in self.batches for row in split(batch)}

    @torch.no_grad()
    def ask(self, run: Path, *, samples: int = 4, seed: int = 0, temperature: float = 1.0) -> list[Said]:
        """What the policy of a run says to every row, `samples` times (temperature 0: its best, once)."""
        policy, found = policy_of(run), []
        for batch in self.batches:
            prompts = policy.ask(batch)
            greedy = temperature == 0
            settings = SamplingSettings(top_k=1) if greedy else SamplingSettings(temperature=temperature)
            made = rollout.sample(policy, prompts, settings, samples=1 if greedy else samples, seed=seed)
            texts = policy.responses(prompts, made.owners, made.tokens)
            for owner, told in zip(made.owners, texts, strict=True):
                asked = prompts.asked[owner]
                found.append(Said(asked["id"], asked, told["text"], tuple(told["tokens"])))
        return found

    def score(self, reward: Reward, asked: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[float]:
        """What a reward that hears the prompts gives for texts."""
        prompts = [{**one, "row": self.heard[one["id"]]} for one in asked]
        return reward.score(prompts, [{"text": text} for text in texts]).total.tolist()

    @torch.no_grad()
    def divergence(self, run: Path, reference: Path, *, seed: int = 5) -> float:
        """Nats by which a run's responses are likelier under it than under `reference`: the mean of one response."""
        policy, other = policy_of(run), policy_of(reference)
        apart, count = 0.0, 0
        for batch in self.batches:
            made = rollout.sample(policy, policy.ask(batch), rollout.PLAIN, samples=2, seed=seed)
            scored, _ = rollout.rescore(other, other.ask(batch), made, rollout.PLAIN)
            apart += float(torch.cat(made.log_probs).sum()) - float(scored.log_probs.sum())
            count += len(made.tokens)
        return apart / count


@cache
def people() -> Reward:
    """The judge of everything, built from ``people.yaml``."""
    reward: Reward = build("reward", dict(reading.read(PEOPLE).data))
    return reward


def scored(said: Sequence[Said], reward: Reward | None = None) -> list[float]:
    """What a reward gives, the people's by default."""
    judge = reward or people()
    scores = judge.score([one.asked for one in said], [{"text": one.text, "tokens": one.tokens} for one in said])
    return scores.total.tolist()


def part(said: Sequence[Said], name: str) -> list[float]:
    """One part of the people's score, e.g. ``right``."""
    found = people().score([one.asked for one in said], [{"text": one.text} for one in said])
    return found.parts[name].tolist()


def by_prompt(said: Sequence[Said], values: Sequence[float]) -> dict[str, float]:
    """The mean of every row's responses."""
    groups: dict[str, list[float]] = {}
    for one, value in zip(said, values, strict=True):
        groups.setdefault(one.id, []).append(value)
    return {name: float(np.mean(found)) for name, found in sorted(groups.items())}


def wins(first: Sequence[Said], second: Sequence[Said], reward: Reward | None = None) -> dict[str, float]:
    """By prompt, how often a response of `first` beats one of `second`, every one against every one; a tie is half."""
    groups: tuple[dict[str, list[float]], ...] = ({}, {})
    for found, said in zip(groups, (first, second), strict=True):
        for one, value in zip(said, scored(said, reward), strict=True):
            found.setdefault(one.id, []).append(value)
    shares = {}
    for name in sorted(groups[0]):
        apart = np.subtract.outer(groups[0][name], groups[1][name])
        shares[name] = float(np.mean((apart > 1e-6) + 0.5 * (np.abs(apart) <= 1e-6)))
    return shares


def pairs(room: Room, run: Path, path: Path, *, seed: int, samples: int = 5, margin: float = 0.2) -> Path:
    """Pairs of a policy's own responses, labelled by people: `stentor preferences build`, from frames that are kept."""
    if path.exists():
        return path
    said = room.ask(run, samples=samples, seed=seed)
    candidates: dict[str, list[dict[str, Any]]] = {}
    for one, score in zip(said, scored(said), strict=True):
        candidates.setdefault(one.id, []).append({"text": one.text, "tokens": list(one.tokens), "score": score})
    found = [one for name, told in candidates.items() for one in select(room.rows[name], told, Selection(margin))]
    manifest.save(path, [one for one in found if hasattr(one, "custom")])
    return path


def shuffled(path: Path, target: Path, seed: int) -> Path:
    """The same pairs, of which every one is turned round or not by the toss of a coin; scores are left away."""
    if not target.exists():
        coin, rows = random.Random(seed), []
        for row in manifest.load(path):
            sides = [{k: v for k, v in row.custom[name].items() if k != "score"} for name in ("chosen", "rejected")]
            coin.shuffle(sides)
            rows.append(replace(row, custom={**row.custom, "chosen": sides[0], "rejected": sides[1]}))
        manifest.save(target, rows)
    return target


def tell(claim: str, figure: str, by_seed: Sequence[Mapping[str, float]], target: tuple[str, float] | None = None,
         **more: Any) -> dict[str, Any]:  # fmt: skip
    """Print one figure as a JSON line: the mean, its 95 % interval, the value of each seed.

    The interval is `significance.hierarchical`: a bootstrap over seeds and prompts.

    Args:
        claim: what it is about.
        figure: its name.
        by_seed: value by prompt, for each seed; a seed may lack some prompts.
        target: ``("least" or "most", bound)``, or ``("above", bound)`` for the whole interval.
        more: further fields.
    """
    names = sorted(set().union(*by_seed))
    found = significance.hierarchical([[one.get(name, math.nan) for name in names] for one in by_seed])
    seeds = [round(float(np.mean(list(one.values()))), 4) for one in by_seed]
    line: dict[str, Any] = {"claim": claim, "figure": figure, "value": round(found.value, 4),
                            "low": round(found.low, 4), "high": round(found.high, 4), "seeds": seeds,
                            "prompts": len(names)}  # fmt: skip
    return _told(line, target, more)


def tell_numbers(claim: str, figure: str, values: Sequence[float], target: tuple[str, float] | None = None,
                 **more: Any) -> dict[str, Any]:  # fmt: skip
    """The same for one number from each seed, with Student's t interval over the seeds."""
    found = significance.over_seeds(values)
    line = {"claim": claim, "figure": figure, "value": round(found.value, 4), "low": round(found.low, 4),
            "high": round(found.high, 4), "seeds": [round(value, 4) for value in values]}  # fmt: skip
    return _told(line, target, more)


def _told(line: dict[str, Any], target: tuple[str, float] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    line |= more
    if target is not None:
        side, bound = target
        told, met = {
            "least": (f">= {bound:g}", line["value"] >= bound),
            "most": (f"<= {bound:g}", line["value"] <= bound),
            "above": (f"> {bound:g}, interval too", line["low"] > bound),
        }[side]
        line |= {"target": told, "met": bool(met)}
    print(json.dumps(line), flush=True)
    return line


GUARDS = ("reward", "judge", "divergence", "length", "distinct", "probe/empty", "probe/repeated", "probe/longest")
"""What a run of reinforcement learning tells of itself in validation, on prompts that it was not tuned on."""


def guards(claim: str, arm: str, tuned: Sequence[Path]) -> None:
    """What tells a gamed reward, as the runs of all seeds logged it in their last validation."""
    for name in GUARDS:
        found = [logged(run, f"valid_{name}") for run in tuned]
        if all(found):
            tell_numbers(claim, f"{arm}: {name}", [values[-1] for values in found])


def minus(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """By prompt, by how much the first is greater."""
    return {name: value - other[name] for name, value in one.items()}


def pair_accuracy(scores: Sequence[float], others: Sequence[float]) -> list[float]:
    """1 where the first of two scores is greater, 1/2 where they are equal, else 0."""
    return [float(a > b) + 0.5 * float(a == b) for a, b in zip(scores, others, strict=True)]


def each(seeds: Sequence[int]) -> Iterator[int]:
    """The seeds, each told on stderr."""
    for seed in seeds:
        print(f"== seed {seed}", file=sys.stderr, flush=True)
        yield seed
