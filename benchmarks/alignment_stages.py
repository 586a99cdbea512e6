"""The three stages of reinforcement learning of Step-Audio 2 on spoken questions, and the reward model between them.

    python benchmarks/alignment_stages.py [FOLDER]

After arXiv 2507.16632: PPO with 1 for a thought that is there and not too long; PPO with a reward model learnt from
preferences; GRPO with the verified answer. The reward model reads tokens (arXiv 2511.03601); the control's has learnt
the same pairs with their sides shuffled. People's preferences are a rule (benchmarks/shared/people.yaml) that labels
pairs and judges results and never rewards. Begins where it was cut off; one JSON line for each figure. The speech is
synthetic (corpus spoken-questions, what is not buried in noise), the policy hears it through a frozen Whisper; every
seed begins with an SFT policy of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from shared import toys
from shared.speech import logged
from shared.toys import Said

from stentor.data.utterance import Utterance
from stentor.train.assembly import build

CLAIM = "stages"
CAP = 10.0  # nats of a whole response
TARGETS = {
    "legal": ("least", 0.95),
    "pairs": ("least", 0.70),
    "wins": ("least", 0.60),
    "control": ("most", 0.55),
    "right": ("above", 0.0),
    "cap": ("most", CAP),
    "centre": ("most", 1e-5),
}
"""Written before the first scored run."""
THOUGHTS = ("train.steps=40",)
MODEL = ("train.steps=40",)
PREFERENCE = ("train.steps=25",)
VERIFIED = ("train.steps=40",)


def main() -> None:
    arguments = toys.parser(__doc__).parse_args()
    seeds: list[int] = arguments.seeds
    toys.ready()
    parents = [toys.sft(arguments.folder, seed) for seed in seeds]
    rooms = {name: toys.Room(toys.QUESTIONS / f"{name}.jsonl.gz", parents[0], understood)
             for name in ("train", "heldout")}  # fmt: skip
    for seed, parent in zip(toys.each(seeds), parents, strict=True):
        tune(arguments.folder, parent, rooms["train"], seed)
    if not arguments.train_only:
        report(arguments.folder, parents, rooms["heldout"], seeds)


def understood(row: Utterance) -> bool:
    return bool(row.custom["clear"])


def tune(folder: Path, parent: Path, room: toys.Room, seed: int) -> None:
    """All runs of a seed."""
    asked = (f"seed={seed}", *toys.clear(folder))
    first = toys.train(folder / f"stage1-{seed}", "align/thoughts", f"task.run={parent}", *asked, *THOUGHTS)
    pairs = {"model": toys.pairs(room, first, folder / f"pairs-{seed}.jsonl.gz", seed=seed)}
    pairs["control-model"] = toys.shuffled(pairs["model"], folder / f"pairs-shuffled-{seed}.jsonl.gz", seed)
    for name, tuned in (("model", "stage2"), ("control-model", "control")):
        model, data = folder / f"{name}-{seed}", (f"data.train={pairs[name]}", "data.valid=''")
        toys.train(model, "align/reward-model", f"task.run={first}", f"seed={seed}", *data, *MODEL)
        rewarded = (f"task.run={first}", f"task.reward.run={model}", *asked)
        toys.train(folder / f"{tuned}-{seed}", "align/ppo", *rewarded, *PREFERENCE)
    second = f"task.run={folder}/stage2-{seed}"
    toys.train(folder / f"stage3-{seed}", "align/verified", second, *asked, *VERIFIED)


def report(folder: Path, parents: Sequence[Path], room: toys.Room, seeds: Sequence[int]) -> None:
    runs = {name: [folder / f"{name}-{seed}" for seed in seeds] for name in ("stage1", "stage2", "control", "stage3")}
    every = {"sft": parents, **runs}
    said = {name: [room.ask(run) for run in found] for name, found in every.items()}
    best = {name: [room.ask(run, temperature=0) for run in found] for name, found in every.items()}
    for name, found in said.items():
        toys.tell(CLAIM, f"legal thoughts, {name}", [legal(one) for one in found],
                  TARGETS["legal"] if name == "stage1" else None)  # fmt: skip
    for how, responses in (("sampled", said), ("greedy", best)):
        for name, found in responses.items():
            toys.tell(CLAIM, f"right answers, {how}, {name}", [right(one) for one in found])
        pairs = zip(responses["stage3"], responses["sft"], strict=True)
        gains = [toys.minus(right(one), right(other)) for one, other in pairs]
        toys.tell(CLAIM, f"right answers, {how}, stage3 minus sft", gains, TARGETS["right"])
    models = [(folder / f"model-{seed}", folder / f"control-model-{seed}") for seed in seeds]
    kinds = ((0, "of the reward model", TARGETS["pairs"]), (1, "of the control's", None))
    for place, name, target in kinds:
        found = [accuracy(room, model[place], one) for model, one in zip(models, said["stage1"], strict=True)]
        toys.tell(CLAIM, f"accuracy on unseen pairs {name}", found, target)
    hard = [hardest(one) for one in said["sft"]]
    for name in ("stage2", "control"):
        won = [toys.wins(one, other) for one, other in zip(said[name], said["stage1"], strict=True)]
        toys.tell(CLAIM, f"win-rate of {name} over stage1", won, TARGETS["wins" if name == "stage2" else "control"])
        toys.tell(CLAIM, f"win-rate of {name} over stage1, harder half of the prompts",
                  [{key: one[key] for key in keys} for one, keys in zip(won, hard, strict=True)])  # fmt: skip
        apart = [room.divergence(run, start) for run, start in zip(runs[name], runs["stage1"], strict=True)]
        toys.tell_numbers(CLAIM, f"divergence of {name} from stage1 (nats)", apart,
                          TARGETS["cap"] if name == "stage2" else None)  # fmt: skip
    centres = [max(logged(run, "off_centre")) for run in runs["stage3"]]
    toys.tell_numbers(CLAIM, "largest mean of a group's advantages, stage3", centres, TARGETS["centre"])
    for name, found in runs.items():
        toys.guards(CLAIM, name, found)


def legal(said: Sequence[Said]) -> dict[str, float]:
    """By prompt, the share of responses with a thought that is there and not too long; a deaf reply has none."""
    reward: Any = build("reward", {"name": "thought-length", "cap": 8})
    return toys.by_prompt(said, toys.scored(said, reward))


def right(said: Sequence[Said]) -> dict[str, float]:
    """By prompt, the share of right answers."""
    return toys.by_prompt(said, toys.part(said, "right"))


def hardest(said: Sequence[Said]) -> set[str]:
    """The half of the prompts whose responses people like least."""
    found = toys.by_prompt(said, toys.scored(said))
    return set(sorted(found, key=lambda name: found[name])[: len(found) // 2])


def accuracy(room: toys.Room, model: Path, said: Sequence[Said]) -> dict[str, float]:
    """By prompt, how often a reward model ranks two of a policy's responses as people do, where these care."""
    reward: Any = build("reward", {"name": "bradley-terry", "run": str(model)})
    scores, truth = room.score(reward, [one.asked for one in said], [one.text for one in said]), toys.scored(said)
    groups: dict[str, list[tuple[float, float]]] = {}
    for one, score, true in zip(said, scores, truth, strict=True):
        groups.setdefault(one.id, []).append((true, score))
    shares = {}
    for name, found in groups.items():
        told = [sorted((one, other)) for one, other in combinations(found, 2) if abs(one[0] - other[0]) > 1e-6]
        if told:
            shares[name] = float(np.mean(toys.pair_accuracy([b[1] for _, b in told], [a[1] for a, _ in told])))
    return shares


if __name__ == "__main__":
    main()
