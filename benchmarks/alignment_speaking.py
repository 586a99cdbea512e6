"""Preferences over a voice's own takes: is it understood better afterwards, by a recogniser that had no say in it?

A speaking model says every prompt four times. One recogniser (moonshine) hears which take is understood best and which
worst; from these pairs DPO learns (recipe `align/speaking`). Another recogniser (whisper), which scored none of them,
judges the tuned voice against the untuned one on sentences that neither training heard: a take wins where whisper's
character error rate is lower, a tie is half. As a control the same number of steps learns from the same pairs, of which
every one is turned round or not by the toss of a coin. Each of three seeds learns from its own two thirds of the pairs.
PPO learns from the prompts alone, rewarded for what moonshine understands of what it says to them.

Needs a trained ``runs/speak`` (recipe `tts/speak`, with its tokenizer, flow and vocoder beside it) and
``corpora/styles``. All speech is synthetic. Run ``python benchmarks/alignment_speaking.py``; cut short, it goes on
where it was. One JSON line for each voice; intervals are bootstraps over seeds and prompts.
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
from shared.speech import stentor, train

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.evaluate import significance
from stentor.evaluate.alignment import distance
from stentor.evaluate.decoding import batch_of, batches
from stentor.evaluate.settings import EvaluateSettings
from stentor.plugins import registry
from stentor_align import rollout, runs
from stentor_align.rollout import SamplingSettings
from stentor_tts.judges import recognisers
from stentor_tts.rewards.audio import waveform

SEEDS = (1, 2, 3)
WIN_RATE, DIVERGENCE = 0.60, 0.15
"""Targets, written before the first scored run: least win-rate of DPO over the untuned voice by the judge, most nats by
which a token is likelier under the tuned voice. The control must not win: the interval of its win-rate holds 1/2 or
lies below."""
REWARDING, JUDGING = "moonshine", "whisper"
TAKES, PROMPTS, HELDOUT = 4, 100, 60
HEAT = 0.7
DECODINGS = {"sampled": (SamplingSettings(temperature=HEAT), 2), "greedy": (SamplingSettings(top_k=1), 1)}
"""How held-out sentences are said, and how often each; the targets are for what is sampled as the pairs were."""

Take = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/speak"), help="the trained voice")
    parser.add_argument("--styles", type=Path, default=Path("corpora/styles"))
    parser.add_argument("--folder", type=Path, default=Path("runs/alignment-speaking"))
    parser.add_argument("--arms", default="dpo,shuffled,ppo", help="which of dpo, shuffled, ppo to train")
    parser.add_argument("--decodings", default="sampled,greedy", help="how the held-out sentences are said")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
    folder, voice = arguments.folder, arguments.run
    prompts(arguments.styles, folder)
    arms = arguments.arms.split(",")
    data = {"ppo": dict.fromkeys(SEEDS, folder / "prompts.jsonl.gz")}
    if set(arms) - {"ppo"}:
        data |= pairs(voice, folder)
    tuned = {arm: [tune(arm, voice, folder, data[arm][seed], seed) for seed in SEEDS] for arm in arms}
    rows = manifest.load(folder / "heldout.jsonl.gz")
    for decoding in arguments.decodings.split(","):
        before = takes(voice, rows, folder / f"{decoding}-untuned.jsonl", decoding)
        tell("untuned", decoding, [before])
        for arm, found in tuned.items():
            after = [takes(run, rows, folder / f"{decoding}-{run.name}.jsonl", decoding, voice) for run in found]
            tell(arm, decoding, after, before)


def prompts(styles: Path, folder: Path) -> None:
    """What is to be said, without sound: training sentences in one voice, and held-out ones."""
    for name, source, count in (("prompts", "train", PROMPTS), ("heldout", "heldout-sentences", HELDOUT)):
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            continue
        rows = [row for row in manifest.load(styles / f"{source}.jsonl.gz") if plain(row)]
        random.Random(0).shuffle(rows)
        manifest.save(path, [unheard(row) for row in rows[:count]])


def plain(row: Utterance) -> bool:
    """Whether it is a whole sentence in the main voice, said plainly."""
    style, words = row.custom.get("style") or {}, (row.text or "").split()
    whole = row.custom.get("unit") == "sentence" and not row.custom.get("marked") and len(words) >= 4
    return whole and row.speaker == "hibari" and not any(style.values())


def unheard(row: Utterance) -> Utterance:
    return Utterance(row.id, "", Utterance.reading_seconds(row.text or ""), 0, text=row.text, speaker=row.speaker)


def pairs(voice: Path, folder: Path) -> dict[str, dict[int, Path]]:
    """The pairs of every arm that learns from pairs and every seed, all out of the same takes."""
    whole = folder / "pairs.jsonl.gz"
    if not whole.exists():
        stentor("preferences", "build", str(voice), str(folder / "prompts.jsonl.gz"), "--reward", "intelligibility",
                "--samples", str(TAKES), "--temperature", str(HEAT), "--margin", "0.05",
                "-o", str(whole))  # fmt: skip
    rows = manifest.load(whole)
    found: dict[str, dict[int, Path]] = {"dpo": {}, "shuffled": {}}
    for seed in SEEDS:
        chance = random.Random(seed)
        kept = chance.sample(rows, 2 * len(rows) // 3)
        for arm in found:
            found[arm][seed] = folder / f"{arm}-{seed}.jsonl.gz"
        manifest.save(found["dpo"][seed], kept)
        manifest.save(found["shuffled"][seed], [turned(row, chance) for row in kept])
    return found


def turned(row: Utterance, chance: random.Random) -> Utterance:
    """Its responses in an order that a coin decides; their scores, which would tell, are left away."""
    sides = [{"tokens": row.custom[name]["tokens"]} for name in ("chosen", "rejected")]
    chance.shuffle(sides)
    return replace(row, custom={**row.custom, "chosen": sides[0], "rejected": sides[1]})


def tune(arm: str, voice: Path, folder: Path, data: Path, seed: int) -> Path:
    """A tuned voice."""
    changes = [f"task.run={voice}", f"data.train={data}", f"seed={seed}"]
    if arm == "ppo":
        # chosen by the reward of other training prompts, on a voice that had been trained for two fifths of its steps
        changes += ["task=ppo", f"task.reward={{name: intelligibility, recogniser: {REWARDING}}}", "task.samples=2",
                    "task.warmup=5", f"task.sampling.temperature={HEAT}", "data.batch_seconds=20", "train.lr=2.0e-4",
                    "train.steps=60"]  # fmt: skip
    return train(folder / f"{arm}-{seed}", "align/speaking", *changes)


@torch.no_grad()
def takes(run: Path, rows: Sequence[Utterance], path: Path, decoding: str, reference: Path | None = None) -> list[Take]:
    """What a voice says to every row, with both recognisers' errors and how much likelier it is than before tuning."""
    if path.exists():
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    policy: Any = runs.trained(str(run))[0].eval()
    other: Any = None if reference is None else runs.trained(str(reference))[0].eval()
    settings, each = DECODINGS[decoding]
    found: list[Take] = []
    for group in batches(rows, EvaluateSettings(batch_size=16)):
        batch = batch_of(group, [torch.zeros(0)] * len(group), torch.device("cpu"))
        asked = policy.ask(batch)
        made = rollout.sample(policy, asked, settings, samples=each, seed=11)
        own = [float(row.sum()) for row in made.log_probs]
        before = own
        if other is not None:
            scored, _ = rollout.rescore(other, other.ask(batch), made, settings)
            before = scored.totals()[0].tolist()
        responses = policy.responses(asked, made.owners, made.tokens)
        texts = [asked.asked[owner]["reference"] for owner in made.owners]
        waves = [waveform(one) for one in responses]
        sound = [torch.zeros(1600) if wave is None else wave for wave in waves]
        heard = {name: list(recognisers.heard(name, [wave.numpy() for wave in sound]))
                 for name in (REWARDING, JUDGING)}  # fmt: skip
        for place, (owner, tokens) in enumerate(zip(made.owners, made.tokens, strict=True)):
            told = {name: errors(texts[place], heard[name][place]) for name in heard}
            found.append({"id": asked.asked[owner]["id"], "tokens": len(tokens), "apart": own[place] - before[place],
                          "seconds": len(sound[place]) / 16000, **told})  # fmt: skip
    path.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return found


def errors(reference: str, heard: str) -> list[float]:
    """Wrong characters and characters, wrong words and words."""
    normal = registry().build("normaliser", "english")
    asked, said = normal(reference), normal(heard)
    words = asked.split()
    return [distance(list(asked), list(said)), len(asked), distance(words, said.split()), len(words)]


def tell(arm: str, decoding: str, after: Sequence[Sequence[Take]], before: Sequence[Take] | None = None) -> None:
    """One line: error rates by both recognisers, length, and against the untuned voice win-rates and divergence."""
    line: dict[str, Any] = {"voice": arm, "decoding": decoding, "takes": len(after[0]), "seeds": len(after)}
    for name in (REWARDING, JUDGING):
        sums = [np.array([take[name] for take in one]).sum(0) for one in after]
        line[f"cer-{name}"] = [round(100 * one[0] / one[1], 2) for one in sums]
        line[f"wer-{name}"] = [round(100 * one[2] / one[3], 2) for one in sums]
    line["broken-down"] = [round(float(np.mean([broken_down(take) for take in one])), 3) for one in after]
    line["seconds"] = [round(float(np.mean([take["seconds"] for take in one])), 3) for one in after]
    if before is not None:
        for name in (REWARDING, JUDGING):
            line[f"win-rate-{name}"] = share([wins(one, before, name) for one in after])
            line[f"win-rate-{name}-seeds"] = [round(float(np.mean(list(wins(one, before, name).values()))), 3)
                                              for one in after]  # fmt: skip
            line[f"wer-{name}-fall"] = fall(after, before, name)
        line["ties"] = [round(ties(one, before, JUDGING), 3) for one in after]
    if before is not None and decoding == "sampled":
        apart = [sum(take["apart"] for take in one) / sum(take["tokens"] for take in one) for one in after]
        line["nats_per_token"] = [round(value, 4) for value in apart]
        value, low, _ = line[f"win-rate-{JUDGING}"]
        if arm == "shuffled":
            line |= {"target": "the interval of win-rate-whisper reaches 0.5 or below", "met": low <= 0.5}
        else:
            line |= {"target": f"win-rate-whisper >= {WIN_RATE} at <= {DIVERGENCE} nats a token",
                     "met": value >= WIN_RATE and max(apart) <= DIVERGENCE}  # fmt: skip
    print(json.dumps(line), flush=True)


def wins(after: Sequence[Take], before: Sequence[Take], judge: str) -> dict[str, float]:
    """By prompt, how often a take of one voice beats one of the other, every one against every one; a tie is half."""
    rates: tuple[Mapping[str, list[float]], ...] = tuple(by_prompt(one, judge) for one in (after, before))
    found = {}
    for name, own in rates[0].items():
        apart = np.subtract.outer(rates[1][name], own)
        found[name] = float(np.mean((apart > 0) + 0.5 * (apart == 0)))
    return found


def ties(after: Sequence[Take], before: Sequence[Take], judge: str) -> float:
    """How often takes of a prompt are alike to the judge."""
    own, others = by_prompt(after, judge), by_prompt(before, judge)
    return float(np.mean([np.mean(np.equal.outer(others[name], own[name])) for name in own]))


def broken_down(take: Take) -> bool:
    """Whether four words of five and more are wrong to the judge."""
    return take[JUDGING][2] >= 0.8 * max(1, take[JUDGING][3])


def by_prompt(found: Sequence[Take], judge: str) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {}
    for take in found:
        told.setdefault(take["id"], []).append(take[judge][0] / max(1, take[judge][1]))
    return told


def fall(after: Sequence[Sequence[Take]], before: Sequence[Take], judge: str) -> list[float]:
    """By how many points the word error rate falls, with the bounds of its 95 % interval over seeds and prompts."""
    own = wrong(before, judge)
    words = float(np.mean([take[judge][3] for take in before]))
    found = [[100 * (own[name] - one[name]) / words for name in own] for one in (wrong(run, judge) for run in after)]
    return rounded(significance.hierarchical(found), 2)


def wrong(found: Sequence[Take], judge: str) -> dict[str, float]:
    """By prompt, the mean number of wrong words of a take."""
    told: dict[str, list[float]] = {}
    for take in found:
        told.setdefault(take["id"], []).append(take[judge][2])
    return {name: float(np.mean(values)) for name, values in told.items()}


def share(by_seed: Sequence[Mapping[str, float]]) -> list[float]:
    """Mean win-rate with the bounds of its 95 % interval over seeds and prompts."""
    names = sorted(by_seed[0])
    return rounded(significance.hierarchical([[one[name] for name in names] for one in by_seed]), 3)


def rounded(found: significance.Interval, digits: int) -> list[float]:
    return [round(value, digits) for value in (found.value, found.low, found.high)]


if __name__ == "__main__":
    main()
