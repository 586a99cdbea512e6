"""DPO with and without the loss on audio codes, of a policy that answers in text and audio by turns.

    python benchmarks/alignment_masked.py [FOLDER]

After Step-Audio-AQAA (arXiv 2506.08967). The policy is a toy (benchmarks/shared/interleaved.py): a chunk is a word and
the three codes of its sound. It learns from pairs of its own responses, of which people prefer one for its words alone.
What DPO does to the sound is measured by the NLL of right codes behind right words, and by how many words of its own
responses sound like another word. No speech is heard or made; codes are synthetic. Begins where it was cut off; one
JSON line for each figure.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import interleaved, toys
from shared.interleaved import batch, responses

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor_align import logprobs, runs
from stentor_align.corpora.wording import MANNERS, ORDER, questions

CLAIM = "masked"
TARGETS = {"apart": ("above", 0.0)}
"""Written before the first scored run: by how much more each rises without the mask than with it."""
ARMS = {"masked": (), "unmasked": ("task.left_out=[]",)}
STEPS, TUNING = 250, ("train.steps=60", "train.lr=4e-4")


def main() -> None:
    arguments = toys.parser(__doc__).parse_args()
    seeds: list[int] = arguments.seeds
    toys.quiet()
    interleaved.register()
    folder: Path = arguments.folder
    for seed in toys.each(seeds):
        parent = taught(folder, seed)
        pairs = preferred(parent, folder / f"interleaved-pairs-{seed}.jsonl.gz", seed)
        for arm, changes in ARMS.items():
            told = (f"task.run={parent}", f"data.train={pairs}", f"seed={seed}", *TUNING, *changes)
            toys.train(folder / f"interleaved-{arm}-{seed}", "align/masked", *told)
    if not arguments.train_only:
        report(folder, seeds)


def rows(part: Any, seed: int, count: int) -> list[Utterance]:
    """Questions as text, and an answer in one of the manners."""
    rng, found = random.Random(f"{part} {seed}"), []
    for number, one in enumerate(questions(part, seed)[:count]):
        text = MANNERS[rng.choice(ORDER)].format(one.answer)
        found.append(interleaved.told(f"{part}-{number}", one.spoken, text, answer=one.answer, clear=True))
    return found


def taught(folder: Path, seed: int) -> Path:
    """The policy before preferences."""
    data = folder / f"interleaved-train-{seed}.jsonl.gz"
    if not data.exists():
        manifest.save(data, rows("train", seed, 500))
    return interleaved.taught(folder / f"interleaved-{seed}", data, seed, steps=STEPS)


def preferred(run: Path, path: Path, seed: int) -> Path:
    """Pairs of the policy's own responses, of which people like one more for its words."""
    if not path.exists():
        asked = rows("train", seed, 300)
        manifest.save(path, interleaved.preferred(asked, responses(run, asked, samples=4, seed=seed)))
    return path


@torch.no_grad()
def nll(run: Path, asked: Sequence[Utterance]) -> dict[str, float]:
    """By row, nats of an audio code in its right answer."""
    policy: Any = runs.trained(str(run))[0]
    prompts, rng = policy.eval().ask(batch(asked)), random.Random(0)
    tokens = [policy.spoken(row.text or "", rng) for row in asked]
    audio = torch.zeros(policy.vocabulary.size, dtype=torch.bool)
    audio[list(policy.vocabulary.block("audio").range)] = True
    read = logprobs.read(policy.backbone, prompts.embeddings, tokens, range(len(tokens)))
    sums, counts = logprobs.score(policy.backbone, read, bearing=audio).totals()
    return dict(zip([row.id for row in asked], (-sums / counts).tolist(), strict=True))


def mismatched(run: Path, asked: Sequence[Utterance]) -> dict[str, float]:
    """By row, the share of words in its sampled responses that sound like another."""
    policy: Any = runs.trained(str(run))[0]
    found = {}
    for row, group in zip(asked, responses(run, asked, samples=4, seed=7), strict=True):
        wrong, words = np.sum([policy.mismatch(one["tokens"]) for one in group], 0)
        found[row.id] = float(wrong / max(1, words))
    return found


def report(folder: Path, seeds: Sequence[int]) -> None:
    asked = rows("heldout", 0, 200)
    rises: dict[str, list[dict[str, float]]] = {}
    for name, measure in (("NLL of audio codes (nats)", nll), ("words that sound like another", mismatched)):
        start = [measure(folder / f"interleaved-{seed}", asked) for seed in seeds]
        toys.tell(CLAIM, f"{name}, before", start)
        for arm in ARMS:
            found = [measure(folder / f"interleaved-{arm}-{seed}", asked) for seed in seeds]
            toys.tell(CLAIM, f"{name}, {arm}", found)
            rises[arm] = list(map(toys.minus, found, start))
        apart = list(map(toys.minus, rises["unmasked"], rises["masked"]))
        means = [float(np.mean(list(one.values()))) for one in apart]
        toys.tell_numbers(CLAIM, f"{name}, rise unmasked minus masked", means, TARGETS["apart"])
        toys.tell(CLAIM, f"{name}, the same over seeds and prompts", apart)
    for arm in ARMS:
        won = [wins(folder / f"interleaved-{arm}-{seed}", folder / f"interleaved-{seed}", asked) for seed in seeds]
        toys.tell(CLAIM, f"win-rate over the policy before, {arm}", won)


def wins(run: Path, other: Path, asked: Sequence[Utterance]) -> dict[str, float]:
    """By row, how often people like a response's words more than one of the policy before."""
    said = []
    for one in (run, other):
        groups = zip(asked, responses(one, asked, samples=4, seed=7), strict=True)
        said.append([toys.Said(row.id, row.custom, told["text"], ()) for row, group in groups for told in group])
    return toys.wins(*said)


if __name__ == "__main__":
    main()
