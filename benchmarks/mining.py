"""Hard-sample mining from end to end: rank a pool, choose equal hours by every ranker, retrain, compare.

Needs ``stentor prepare commands -o corpora/commands``, ``stentor prepare field-commands -o corpora/field``, a larger
test set, ``stentor prepare field-commands -o corpora/field-large labelled=0 pool=0 test=1500 seed=1``, and a base
recogniser: ``stentor train asr/mining-base --run runs/mining/base``. Run ``python benchmarks/mining.py``; cut short,
it goes on where it was. Writes ``runs/mining``: ``ranking.json`` (how well each ranker finds what is hard),
``selections/``, ``retrain/`` (the report of the ablation) and ``base.json``. All speech is synthetic.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stentor import train
from stentor.ablate import cell as cells
from stentor.ablate import plan, runner
from stentor.ablate.launch import How
from stentor.ablate.summary import Summary, summarise
from stentor.ablate.tables import bounds, chance
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.evaluate.journal import write_json
from stentor.evaluate.metrics import WordErrorRate
from stentor.evaluate.runner import evaluate_set
from stentor.evaluate.subjects import of_run
from stentor.plugins import registry
from stentor_asr.mining import hearing, labels, pool
from stentor_asr.mining.judging import judged
from stentor_asr.mining.selection import Judged, choose

HOURS, REPLAY = 0.1, 0.2
TARGETS = {"spearman": 0.5, "top": 1.5}
LEARNERS = {"mil": {"seed"}, "mil-plain": {"seed"}, "random": {"seed"}, "loss": set[str](), "confidence": set[str](),
            "entropy": set[str](), "length": set[str]()}  # fmt: skip
ARMS = ("random", "mil", "mil-plain", "confidence", "entropy", "length", "mixed", "mil-unguarded", "labelled", "pool")
PAIRS = (*(("mil", arm) for arm in ARMS if arm != "mil"), ("mixed", "random"))
CORPORA = Path("corpora")
SETS = {"target": CORPORA / "field/test.jsonl.gz", "target-large": CORPORA / "field-large/test.jsonl.gz",
        "source": CORPORA / "commands/heldout-sentences.jsonl.gz"}  # fmt: skip

Verdicts = Mapping[str, Sequence[Judged]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--folder", type=Path, default=Path("runs/mining"))
    parser.add_argument("--ranking-only", action="store_true", help="stop before the retraining")
    parser.add_argument("--tables", action="store_true", help="print the tables of what is there, and run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds, folder = [int(seed) for seed in arguments.seeds.split(",")], arguments.folder
    base = folder / "base"
    words = [f"name={','.join(ARMS)}", f"seed={arguments.seeds}", f"train.initialise={base}",
             f"data.train='{folder}/selections/seed-${{seed}}/${{name}}.jsonl.gz'"]  # fmt: skip
    if arguments.tables:
        print(tables(folder, words))
        return
    found = dict(zip(seeds, _judge(base, seeds), strict=True))
    rows = {row.id: row for row in manifest.load(CORPORA / "field/pool.jsonl.gz")}
    _ranking(found, rows, folder / "ranking.json")
    for seed, verdicts in found.items():
        _select(verdicts, rows, folder / f"selections/seed-{seed}", seed)
    if arguments.ranking_only:
        return
    _score_base(base, folder / "base.json")
    grid = _grid(folder, words, "random")
    runner.run(grid, How())
    _score_further(grid)
    print(tables(folder, words))


def _grid(folder: Path, words: Sequence[str], baseline: str) -> plan.Plan:
    return plan.make("asr/mining-retrain", words, (folder / "retrain").resolve(), {"name": baseline})


def _judge(base: Path, seeds: Sequence[int]) -> list[dict[str, list[Judged]]]:
    """By seed and ranker, the verdicts on the pool; it is listened to once."""
    _, task = train.load(base)
    rejected: list[Any] = []
    labelled = labels.read(CORPORA / "field/labelled.jsonl.gz", task, rejected.extend)
    heard = list(hearing.heard(task, pool.read(CORPORA / "field/pool.jsonl.gz", rejected.extend), rejected.extend))
    if rejected:
        raise SystemExit(f"{len(rejected)} clips cannot be read, first {rejected[0]}")
    found = []
    for seed in seeds:
        verdicts = {}
        for name, takes in LEARNERS.items():
            ranker = registry().build("ranker", name, **dict.fromkeys(takes, seed))
            ranker.fit(labelled)
            verdicts[name] = judged(ranker, heard)
        found.append(verdicts)
    return found


def _ranking(found: Mapping[int, Verdicts], rows: Mapping[str, Utterance], path: Path) -> None:
    """How well each ranker's hardness agrees with the true WER, over what has a transcript; one JSON line for each."""
    first = next(iter(found.values()))["random"]
    truth = {one.id: _wer(rows[one.id], one.hypothesis) for one in first if rows[one.id].text is not None}
    garbage = {one.id for one in first if rows[one.id].text is None}
    flagged = {one.id for one in first if one.flags}
    told: dict[str, Any] = {
        "pool": {"utterances": len(first), "hours": sum(one.seconds for one in first) / 3600,
                 "wer": float(np.mean(list(truth.values()))), "wrong": float(np.mean([w > 0 for w in truth.values()])),
                 "garbage": len(garbage), "garbage_found": len(garbage & flagged),
                 "flagged_in_error": len(flagged - garbage)},
    }  # fmt: skip
    for name in LEARNERS:
        told[name] = _agreement(
            [{one.id: one.hardness for one in verdicts[name]} for verdicts in found.values()], truth
        )
        told[name]["garbage_in_selection"] = float(np.mean([
            sum(choice.judged.seconds for choice in choose(verdicts[name], HOURS * 3600, guard=False)
                if choice.judged.id in garbage) / (HOURS * 3600) for verdicts in found.values()]))  # fmt: skip
    told["targets"] = TARGETS
    write_json(path, told)
    for name in told:
        print(json.dumps({name: told[name]}), flush=True)


def _agreement(hardness: Sequence[Mapping[str, float]], truth: Mapping[str, float]) -> dict[str, Any]:
    """Spearman's correlation and the lift of the top 20 %, means over the seeds, with intervals over the utterances."""
    names = sorted(truth)
    true = np.array([truth[name] for name in names])
    scores = np.array([[one[name] for name in names] for one in hardness])
    draws = np.random.default_rng(0).integers(0, len(names), (1000, len(names)))
    result = {}
    for name, measure in (("spearman", spearman), ("top20", lift)):
        values = [measure(row, true) for row in scores]
        resampled = [np.mean([measure(row[draw], true[draw]) for row in scores]) for draw in draws]
        low, high = np.quantile(resampled, [0.025, 0.975])
        result[name] = {"value": float(np.mean(values)), "low": float(low), "high": float(high), "by_seed": values}
    return result


def spearman(scores: np.ndarray, true: np.ndarray) -> float:
    """Correlation of ranks; equal values share the mean of their ranks."""
    return float(np.corrcoef(_ranks(scores), _ranks(true))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def lift(scores: np.ndarray, true: np.ndarray) -> float:
    """Mean WER of the hardest fifth over the mean of all."""
    hardest = np.argsort(-scores, kind="stable")[: len(scores) // 5]
    return float(true[hardest].mean() / true.mean())


def _wer(row: Utterance, hypothesis: str) -> float:
    ((errors, words),) = WordErrorRate().counts([row.text or ""], [hypothesis])
    return errors / max(1.0, words)


def _select(verdicts: Verdicts, rows: Mapping[str, Utterance], folder: Path, seed: int) -> None:
    """One manifest for each arm: labelled set, what was chosen and could be transcribed, source against forgetting."""
    seconds = HOURS * 3600
    chosen = {name: choose(verdicts[name], seconds) for name in ("random", "mil", "mil-plain", "confidence", "entropy",
                                                                  "length")}  # fmt: skip
    chosen |= {
        "mixed": choose(verdicts["mil"], seconds, drawn=0.5, seed=seed),
        "mil-unguarded": choose(verdicts["mil"], seconds, guard=False),
        "labelled": [],
        "pool": choose(verdicts["mil"], 1e9, guard=False),
    }
    always = [*manifest.load(CORPORA / "field/labelled.jsonl.gz"), *_replay(seed)]
    told = {}
    for name, choices in chosen.items():
        picked = [rows[choice.judged.id] for choice in choices]
        usable = [row for row in picked if row.text is not None]
        manifest.save(folder / f"{name}.jsonl.gz", [*always, *usable])
        told[name] = {"hours": sum(row.duration for row in picked) / 3600, "utterances": len(picked),
                      "usable_hours": sum(row.duration for row in usable) / 3600,
                      "conditions": _counted(picked)}  # fmt: skip
    write_json(folder / "selections.json", told)


def _counted(rows: Sequence[Utterance]) -> dict[str, int]:
    kinds = ["garbage" if "garbage" in row.custom else str(row.custom["condition"]) for row in rows]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _replay(seed: int) -> list[Utterance]:
    rows = manifest.load(CORPORA / "commands/train.jsonl.gz")
    random.Random(seed).shuffle(rows)
    left, kept = REPLAY * 3600, []
    for row in rows:
        if row.duration <= left:
            left -= row.duration
            kept.append(row)
    return kept


def _score_base(base: Path, path: Path) -> None:
    subject, settings = of_run(base, path.parent / "base-scores", ())
    there = {name: where for name, where in SETS.items() if where.is_file()}
    results = {name: evaluate_set(subject, name, str(where), settings) for name, where in there.items()}
    write_json(path, {name: result["metrics"] for name, result in results.items()})
    print(json.dumps({"base": {name: result["metrics"]["wer"] for name, result in results.items()}}))


def _score_further(grid: plan.Plan, most: int = 1000) -> None:
    """Score finished cells, `most` of them, on sets that were made after they were retrained."""
    for cell in [cell for cell in grid.cells if cells.finished(cell.folder)]:
        left = [name for name in SETS if not (cell.folder / f"evaluation/{name}.json").exists()]
        if left and most:
            subject, settings = of_run(cell.folder, None, ())
            for name in left:
                evaluate_set(subject, name, str(SETS[name]), settings)
            most -= 1


def tables(folder: Path, words: Sequence[str]) -> str:
    """Everything that was measured so far, in Markdown."""
    ranking = json.loads((folder / "ranking.json").read_text())
    chosen = [json.loads(path.read_text()) for path in sorted(folder.glob("selections/*/selections.json"))]
    lines = ["## Ranking the pool", "", *_ranking_rows(ranking), "", "## What was chosen", "", *_chosen_rows(chosen)]
    summaries = {name: summarise(_grid(folder, words, name)) for name in dict.fromkeys(other for _, other in PAIRS)}
    base = json.loads((folder / "base.json").read_text())
    for name in SETS:
        lines += ["", f"## WER on {name} after retraining", "", *_retrained_rows(summaries["random"], base, name)]
    large = "target-large"
    lines += ["", f"## WER on {large} by condition", "", *_condition_rows(folder, summaries["random"], large)]
    return "\n".join([*lines, "", "## Pairs", "", *_pair_rows(summaries), ""])


def _ranking_rows(ranking: Mapping[str, Any]) -> list[str]:
    head = ["ranker", "Spearman", "top 20 % over mean", "garbage in the selection, no guard"]
    rows = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name in LEARNERS:
        told = ranking[name]
        cells = [_ranged(told["spearman"], 3), _ranged(told["top20"], 2), f"{told['garbage_in_selection']:.1%}"]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    pool = ranking["pool"]
    guard = (
        f"{pool['garbage_found']} of {pool['garbage']} garbage clips found, {pool['flagged_in_error']} others flagged"
    )
    size = f"{pool['utterances']} utterances, {60 * pool['hours']:.1f} min"
    wrong = f"mean WER of an utterance {pool['wer']:.1%}, {pool['wrong']:.1%} of them wrong"
    rows += ["", f"Pool: {size}, {wrong}. Guard: {guard}.", ""]
    for key, name in (("spearman", "spearman"), ("top", "top20")):
        value, target = ranking["mil"][name]["value"], ranking["targets"][key]
        met = "met" if value >= target else "MISSED"
        rows.append(f"- Target for mil: {name} at least {target:g}: {value:.3f}, {met}.")
    return rows


def _chosen_rows(chosen: Sequence[Mapping[str, Any]]) -> list[str]:
    kinds = ["easy", "accent", "telephone", "fast", "noise", "garbage"]
    rows = [f"| arm | minutes | transcribable | {' | '.join(kinds)} |", "| --- " * (3 + len(kinds)) + "|"]
    for name in chosen[0]:
        mean = {key: 60 * np.mean([one[name][key] for one in chosen]) for key in ("hours", "usable_hours")}
        counts = [f"{np.mean([one[name]['conditions'].get(kind, 0) for one in chosen]):.1f}" for kind in kinds]
        rows.append(f"| {name} | {mean['hours']:.2f} | {mean['usable_hours']:.2f} | {' | '.join(counts)} |")
    return [*rows, "", "Utterances of each condition, means over the seeds."]


def _retrained_rows(summary: Summary, base: Mapping[str, Any], name: str) -> list[str]:
    if name not in base:
        return ["Not scored."]
    told = base[name]["wer"]
    rows = ["| arm | seeds | WER | less random's | p |", "| --- | --- | --- | --- | --- |",
            f"| no retraining | - | {told['value']:.2f} [{told['low']:.2f}, {told['high']:.2f}] | - | - |"]  # fmt: skip
    for group in summary.groups:
        score = group.scores.get((name, "wer"))
        if score is None:
            continue
        by, value = score.utterances, f"{score.interval.value:.2f}{bounds(score.interval.low, score.interval.high)}"
        apart = f"{by.difference:+.2f}{bounds(by.low, by.high)} | {chance(score.adjusted)}" if by else "- | -"
        rows.append(f"| {group.label.removeprefix('name=')} | {len(group.runs)} | {value} | {apart} |")
    return rows


def _condition_rows(folder: Path, summary: Summary, name: str) -> list[str]:
    """WER by condition, words of all seeds together."""
    conditions = {row.id: str(row.custom["condition"]) for row in manifest.load(SETS[name])}
    kinds = sorted(set(conditions.values()), key=list(conditions.values()).count, reverse=True)
    first = json.loads((folder / f"base-scores/evaluation/{name}.json").read_text())
    runs = {"no retraining": [first]}
    runs |= {
        g.label.removeprefix("name="): [r.results[name] for r in g.runs if name in r.results] for g in summary.groups
    }
    rows = [f"| arm | {' | '.join(kinds)} |", "| --- " * (1 + len(kinds)) + "|"]
    for arm, results in runs.items():
        counts = {kind: np.zeros(2) for kind in kinds}
        for row in [row for result in results for row in result["utterances"]]:
            counts[conditions[row["id"]]] += row["counts"]["wer"]
        if results:
            rows.append(f"| {arm} | {' | '.join(f'{100 * errors / words:.1f}' for errors, words in counts.values())} |")
    return rows


def _pair_rows(summaries: Mapping[str, Summary]) -> list[str]:
    rows = [f"| arm | against | {' | '.join(SETS)} |", "| --- | --- " + "| --- " * len(SETS) + "|"]
    for arm, other in PAIRS:
        group = next(group for group in summaries[other].groups if group.label == f"name={arm}")
        cells = []
        for name in SETS:
            score = group.scores.get((name, "wer"))
            by, seeds = (score.utterances, score.seeds) if score else (None, None)
            told = f"{by.difference:+.2f}{bounds(by.low, by.high)}, p {chance(by.p)}" if by else "-"
            cells.append(told + (f"; seeds{bounds(seeds.low, seeds.high)}" if seeds else ""))
        rows.append(f"| {arm} | {other} | {' | '.join(cells)} |")
    return rows


def _ranged(told: Mapping[str, float], digits: int) -> str:
    return f"{told['value']:.{digits}f} [{told['low']:.{digits}f}, {told['high']:.{digits}f}]"


if __name__ == "__main__":
    main()
