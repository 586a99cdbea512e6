"""A merged policy against its parents: two supervised stages and one of preferences, on held-out suites of each skill.

    python benchmarks/alignment_merging.py [FOLDER]

After Step-Audio-AQAA (arXiv 2506.08967). The policy is the toy that answers in text and audio codes by turns
(benchmarks/shared/interleaved.py). `base` has a little of everything; `sft1` begins with it and learns to compare two
numbers; `sft2` begins with `sft1`, learns to say three numbers backwards, and is damaged in what it no longer hears of;
`dpo` begins with `sft1` and learns from pairs of its own responses, codes left out of the loss, which manner people
like. They are merged in the proportion of the paper, (5 sft1 + 5 sft2 + 1 dpo) / 11, and in the other ways of `stentor
merge`. No speech is heard or made; codes are synthetic. Begins where it was cut off; one JSON line for each figure.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import alignment_masked
import numpy as np
from shared import interleaved, toys
from shared.speech import stentor

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor_align.corpora.wording import NUMBERS

CLAIM = "merging"
TARGETS = {"worst": ("least", 0.0), "best": ("most", 0.02)}
"""Written before the first scored run: what the merged policy of the paper's proportion gains on the worst of its
parents and lacks of the best, on every suite; which parent that is, is told by the mean over the seeds."""
PARENTS = ("sft1", "sft2", "dpo")
MERGES: dict[str, tuple[str, ...]] = {
    "linear": ("sft1", "sft2", "dpo", "--weights", "5,5,1"),
    "task-arithmetic": ("sft1", "sft2", "dpo", "--method", "task-arithmetic", "--base", "base", "--scale", "0.4"),
    "ties": ("sft1", "sft2", "dpo", "--method", "ties", "--base", "base"),
    "slerp": ("sft1", "sft2", "--method", "slerp"),
}
"""`linear` is the paper's, the scale is that of arXiv 2212.04089, the rest is as `stentor merge` has it."""
BASE: dict[str, Any] = {"steps": 200}
SFT: dict[str, Any] = {"steps": 200, "lr": 1e-3}
TUNING = ("train.steps=40", "train.lr=2e-4")
ROWS = 500
Measured = Mapping[str, Mapping[str, float]]


def main() -> None:
    arguments = toys.parser(__doc__).parse_args()
    seeds: list[int] = arguments.seeds
    toys.quiet()
    interleaved.register()
    folder: Path = arguments.folder
    for seed in toys.each(seeds):
        tune(folder / f"merging-{seed}", seed)
    if not arguments.train_only:
        report(folder, seeds)


def backwards(part: str, seed: int, count: int) -> list[Utterance]:
    """Three numbers, and the answer that says them backwards; held-out ones are asked nowhere else."""
    every = [found for found in permutations(NUMBERS, 3) if (_place(found) == 0) == (part == "heldout")]
    random.Random(f"backwards {part} {seed}").shuffle(every)
    return [interleaved.told(f"backwards-{part}-{number}", f"say {' '.join(found)} backwards", " ".join(found[::-1]),
                             answer=" ".join(found[::-1]))
            for number, found in enumerate(every[:count])]  # fmt: skip


def _place(words: Sequence[str]) -> int:
    return hashlib.sha256(" ".join(words).encode()).digest()[0] % 8


def tune(folder: Path, seed: int) -> None:
    """All runs of a seed, and what is merged of them."""
    comparing, saying = alignment_masked.rows("train", seed, ROWS), backwards("train", seed, ROWS)
    data = {"base": [*comparing[: ROWS // 2], *saying[: ROWS // 2]], "sft1": comparing, "sft2": saying}
    for name, rows in data.items():
        if not (folder / f"{name}.jsonl.gz").exists():
            manifest.save(folder / f"{name}.jsonl.gz", rows)
    paths = {name: folder / f"{name}.jsonl.gz" for name in data}
    base = interleaved.taught(folder / "base", paths["base"], seed, **BASE)
    first = interleaved.taught(folder / "sft1", paths["sft1"], seed, **SFT, initialise=str(base))
    interleaved.taught(folder / "sft2", paths["sft2"], seed, **SFT, initialise=str(first))
    pairs = alignment_masked.preferred(first, folder / "pairs.jsonl.gz", seed)
    toys.train(folder / "dpo", "align/masked", f"task.run={first}", f"data.train={pairs}", f"seed={seed}", *TUNING)
    for name, words in MERGES.items():
        if not (folder / name / "config.yaml").exists():
            told = [str(folder / word) if word in (*PARENTS, "base") else word for word in words]
            stentor("merge", *told, "-o", str(folder / name))


def suites() -> dict[str, list[Utterance]]:
    """Held-out rows of each skill, the same for every policy and seed."""
    return {"comparing": alignment_masked.rows("heldout", 0, 200), "backwards": backwards("heldout", 0, 200)}


def measured(run: Path) -> dict[str, dict[str, float]]:
    """By suite and row, what a run's policy scores: right answers, and of comparing what people think of the manner."""
    found = {}
    for name, asked in suites().items():
        made = interleaved.responses(run, asked, samples=4, seed=7)
        said = [toys.Said(row.id, row.custom, one["text"], ()) for row, group in zip(asked, made, strict=True)
                for one in group]  # fmt: skip
        if name == "backwards":
            right = [float(one.text == one.asked["answer"]) for one in said]
        else:
            right = toys.part(said, "right")
            liked = [score - 2 * one for score, one in zip(toys.scored(said), right, strict=True)]
            found["manner"] = toys.by_prompt(said, liked)
        found[name] = toys.by_prompt(said, right)
    return found


def report(folder: Path, seeds: Sequence[int]) -> None:
    found: dict[str, list[Measured]] = {
        name: [measured(folder / f"merging-{seed}" / name) for seed in seeds] for name in ("base", *PARENTS, *MERGES)
    }
    for suite in ("comparing", "backwards", "manner"):
        for name, runs in found.items():
            toys.tell(CLAIM, f"{suite}, {name}", [one[suite] for one in runs])
        means = {name: float(np.mean([np.mean(list(one[suite].values())) for one in found[name]])) for name in PARENTS}
        best, worst = max(PARENTS, key=means.__getitem__), min(PARENTS, key=means.__getitem__)
        for name in MERGES:
            goals = TARGETS if name == "linear" else {}
            gained, lacked = (
                [toys.minus(one[suite], other[suite]) for one, other in zip(found[first], found[second], strict=True)]
                for first, second in ((name, worst), (best, name))
            )
            toys.tell(CLAIM, f"{suite}, {name} minus the worst parent, {worst}", gained, goals.get("worst"))
            toys.tell(CLAIM, f"{suite}, the best parent, {best}, minus {name}", lacked, goals.get("best"))


if __name__ == "__main__":
    main()
