"""The figures of docs/results/one-layer-alignment.md: train what is missing, score what is not, write the tables.

    python benchmarks/one_layer.py [FOLDER]

Begins where it was cut off. Needs corpora/phrases and corpora/lm-text; with corpora/asterisk (and the like) it scores
real speech too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from stentor.analysis import hearing
from stentor.data import manifest
from stentor.evaluate import significance
from stentor.evaluate.scoring import build_metrics
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.task import Task
from stentor.train import load

SEEDS = (1, 2, 3)
RUNS = Path("runs")
BACKBONE = "model.backbone.*"
PHRASES = Path("corpora/phrases")
METRIC = {"transcribe": "wer", "translate": "wer", "answer": "response-errors", "chat": "response-errors"}
CURVE = (10, 30)
SUBSPACE_SETS = ("heldout-voice-transcribe", "heldout-sentences-transcribe")


def train(recipe: str, folder: Path, *changes: str) -> Path:
    """Train unless it was done, going on with what was cut off."""
    if (folder / "config.yaml").exists():
        words = ["--resume", str(folder)]
    else:
        words = [recipe, *changes, "train.tracking=[]", "--run", str(folder)]
    subprocess.run([sys.executable, "-m", "stentor", "train", *words], check=True)
    return folder


def everything_trained() -> None:
    train("asr/lm-base", RUNS / "lm-base")
    train("asr/lm-chat", RUNS / "lm-chat")
    for seed in SEEDS:
        train("asr/one-layer", aligned(seed), f"seed={seed}", "data.valid=''")
    train("asr/lm-unrelated", RUNS / "lm-unrelated")
    if Path("corpora/asterisk/train.jsonl.gz").exists():
        for seed in SEEDS:
            train(
                "asr/one-layer-real", real(seed), f"seed={seed}", f"train.initialise={aligned(seed)}", "data.valid=''"
            )
    for share in CURVE:
        for seed in SEEDS:
            train("asr/one-layer", part(share, seed), f"seed={seed}", f"data.train={first(share)}", "data.valid=''")


def first(share: int) -> Path:
    """Manifest of the first `share` % of the training rows."""
    path = PHRASES / f"train-{share}.jsonl.gz"
    if not path.exists():
        rows = manifest.load(PHRASES / "train.jsonl.gz")
        manifest.save(path, rows[: len(rows) * share // 100])
    return path


def part(share: int, seed: int) -> Path:
    return RUNS / f"one-layer-{share}-s{seed}"


def aligned(seed: int) -> Path:
    return RUNS / f"one-layer-s{seed}"


def real(seed: int) -> Path:
    return RUNS / f"one-layer-real-s{seed}"


def sets() -> dict[str, str]:
    return {f"{voice}-{task}": task for voice in ("heldout-voice", "heldout-sentences") for task in METRIC}


def score(kept: Path, run: Path, variant: str, manifests: dict[str, tuple[Path, str]]) -> None:
    """Counts of `run` on every set, kept as JSON; `variant` says which backbone hears, or what is heard instead."""
    missing = {name: told for name, told in manifests.items() if not place(kept, run, variant, name).exists()}
    if not missing:
        return
    other = variant.startswith("lm-")
    _, task = load(run, swaps={BACKBONE: RUNS / variant} if other else None)
    settings = EvaluateSettings(normaliser="basic", batch_size=32)
    for name, (path, metric) in missing.items():
        references, outputs, ids = [], [], []
        for batch in batches(task, path, settings):
            if variant == "silence":
                batch["frames"] = torch.zeros_like(batch["frames"])
            if variant == "text":
                batch["custom"] = [row | {"given": row["spoken"]} for row in batch["custom"]]
            outputs += task.predict(batch)
            references += batch["texts"]
            ids += batch["ids"]
        counts = build_metrics([metric], "basic")[metric].counts(references, outputs)
        rows = sorted(zip(ids, counts, references, outputs, strict=True))
        target = place(kept, run, variant, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(rows, ensure_ascii=False, indent=0))


PREPARED: dict[tuple[str, bool], list[dict[str, Any]]] = {}


def batches(task: Task, path: Path, settings: EvaluateSettings) -> list[dict[str, Any]]:
    """Batches of a set; Whisper, the same in every run, hears each set once."""
    key = (str(path), task.cached_encoder() is not None)
    if key not in PREPARED:
        PREPARED[key] = hearing.prepared(task, manifest.load(path), settings)
    return [dict(batch) for batch in PREPARED[key]]


def place(kept: Path, run: Path, variant: str, name: str) -> Path:
    return kept / run.name / variant / f"{name}.json"


def everything_scored(kept: Path) -> None:
    spoken = {name: (PHRASES / f"{name}.jsonl.gz", METRIC[task]) for name, task in sets().items()}
    held = {name: told for name, told in spoken.items() if name.startswith("heldout-voice")}
    for seed in SEEDS:
        score(kept, aligned(seed), "own", spoken)
        for variant in ("silence", "lm-chat", "lm-unrelated"):
            score(kept, aligned(seed), variant, held)
        for share in CURVE:
            score(kept, part(share, seed), "own", held)
    for name in ("lm-base", "lm-chat", "lm-unrelated"):
        score(kept, RUNS / name, "text", held)
    heard = {
        "prompts": Path("corpora/asterisk/test.jsonl.gz"),
        "librispeech": Path("corpora/librispeech-clips/all.jsonl.gz"),
    }
    there = {name: (path, "wer") for name, path in heard.items() if path.exists()}
    for seed in SEEDS if there else ():
        for run in (aligned(seed), real(seed)):
            for variant in ("own", "silence"):
                score(kept, run, variant, there)


def counts_of(kept: Path, runs: list[Path], variant: str, name: str) -> list[tuple[float, float]]:
    """(errors, units) of every utterance, summed over `runs`."""
    tables = [json.loads(place(kept, run, variant, name).read_text()) for run in runs]
    assert len({tuple(row[0] for row in table) for table in tables}) == 1, "the runs were scored on other utterances"
    return [tuple(map(sum, zip(*(row[1] for row in rows), strict=True))) for rows in zip(*tables, strict=True)]


def cell(kept: Path, runs: list[Path], variant: str, name: str) -> str:
    """Mean over runs with its interval over the utterances, and the value of each run."""
    found = significance.bootstrap(counts_of(kept, runs, variant, name))
    each = [100 * significance.ratio(counts_of(kept, [run], variant, name)) for run in runs]
    listed = f" ({', '.join(f'{one:.1f}' for one in each)})" if len(each) > 1 else ""
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]{listed}"


def change(kept: Path, runs: list[Path], variant: str, name: str, base: str = "own") -> str:
    """Change of a variant against `base`, in points and relative, paired by utterance."""
    one, other = (counts_of(kept, runs, kind, name) for kind in (base, variant))
    moved, value = significance.compare(one, other), significance.ratio(one)
    relative = f", {100 * moved.difference / value:+.1f} %" if value else ""
    return f"{100 * moved.difference:+.1f} [{100 * moved.low:+.1f}, {100 * moved.high:+.1f}]{relative}"


def tables(kept: Path) -> list[str]:
    runs = [aligned(seed) for seed in SEEDS]
    held = [name for name in sets() if name.startswith("heldout-voice")]
    told = ["## Against no audio", "", "| set | errors | frames all zero | difference | words as text |",
            "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for name in held:
        text = cell(kept, [RUNS / "lm-base"], "text", name)
        told.append(f"| {name} | {cell(kept, runs, 'own', name)} | {cell(kept, runs, 'silence', name)} | "
                    f"{change(kept, runs, 'silence', name)} | {text} |")  # fmt: skip
    told += ["", "## Held-out sentences by the training voices", "", "| set | errors |", "| --- | --- |"]
    told += [f"| {name} | {cell(kept, runs, 'own', name)} |" for name in sets() if name not in held]
    told += ["", "## Exchanged language models", "",
             "| set | base | chat sibling | change | unrelated | change | sibling, as text | unrelated, as text |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for name in held:
        told.append(f"| {name} | {cell(kept, runs, 'own', name)} | {cell(kept, runs, 'lm-chat', name)} | "
                    f"{change(kept, runs, 'lm-chat', name)} | {cell(kept, runs, 'lm-unrelated', name)} | "
                    f"{change(kept, runs, 'lm-unrelated', name)} | {cell(kept, [RUNS / 'lm-chat'], 'text', name)} | "
                    f"{cell(kept, [RUNS / 'lm-unrelated'], 'text', name)} |")  # fmt: skip
    told += ["", "## Amount of data", "", "| set | 10 % | 30 % | 100 % |", "| --- | --- | --- | --- |"]
    for name in held:
        cells = [cell(kept, [part(share, seed) for seed in SEEDS], "own", name) for share in CURVE]
        told.append(f"| {name} | {' | '.join(cells)} | {cell(kept, runs, 'own', name)} |")
    told += ["", "## Real speech", "", "| set | trained on | WER | frames all zero |", "| --- | --- | --- | --- |"]
    for name in ("prompts", "librispeech"):
        for which, label in ((aligned, "synthetic voices"), (real, "and 20 minutes of prompts")):
            some = [which(seed) for seed in SEEDS]
            if place(kept, some[-1], "silence", name).exists():
                told.append(f"| {name} | {label} | {cell(kept, some, 'own', name)} | "
                            f"{cell(kept, some, 'silence', name)} |")  # fmt: skip
    return told


def analysed(seed: int, name: str) -> dict[str, Any]:
    """The subspace report of one seed on one set, made if it is missing."""
    target = aligned(seed) / "analysis" / name
    if not (target / "subspace.json").exists():
        words = ["subspace", str(aligned(seed)), "--sets", name, "-o", str(target)]
        subprocess.run([sys.executable, "-m", "stentor", *words], check=True)
    found: dict[str, Any] = json.loads((target / "subspace.json").read_text())
    return found


def over_seeds(values: Sequence[float]) -> str:
    """Mean with Student's t interval over the seeds, and the value of each."""
    found = significance.over_seeds(values)
    each = ", ".join(f"{one:.1f}" for one in values)
    return f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}] ({each})"


def subspace_tables() -> list[str]:
    found = [analysed(seed, SUBSPACE_SETS[0]) for seed in SEEDS]
    told = ["", "## Subspace", "", "| | trained | untrained |", "| --- | --- | --- |"]
    for label, part in (
        ("outputs", lambda one: one["outputs"]),
        ("weight", lambda one: one["weights"]["project.weight"]),
    ):
        for name in ("effective_rank", "0.9", "0.95", "0.99"):
            cells = [over_seeds(_read(found, part, state, name)) for state in ("trained", "untrained")]
            what = "effective rank" if name == "effective_rank" else f"directions for {float(name):.0%} of the energy"
            told.append(f"| {label}: {what} | {' | '.join(cells)} |")
    for name in SUBSPACE_SETS:
        found = [analysed(seed, name) for seed in SEEDS]
        told += [
            "",
            f"### {name}",
            "",
            "| kept | strongest: WER | change (%) | random: WER |",
            "| --- | --- | --- | --- |",
        ]
        full = over_seeds([one["sets"][name]["full"]["value"] for one in found])
        told.append(f"| all | {full} | | |")
        for k in dict.fromkeys(row["k"] for row in found[0]["sets"][name]["truncation"]):
            best = [_row(one, name, k, "strongest") for one in found]
            chance = [sum(_row(one, name, k, f"random {i}")["value"] for i in (0, 1)) / 2 for one in found]
            told.append(f"| {k} | {over_seeds([row['value'] for row in best])} | "
                        f"{over_seeds([row['change'] for row in best])} | {over_seeds(chance)} |")  # fmt: skip
        told += _free([one["sets"][name]["free"] for one in found])
    return told


def _read(found: list[dict[str, Any]], part: Any, state: str, name: str) -> list[float]:
    spectra = [part(one)[state] for one in found]
    return [float(one[name] if name == "effective_rank" else one["needed"][name]) for one in spectra]


def _row(found: dict[str, Any], name: str, k: int, directions: str) -> dict[str, Any]:
    return next(row for row in found["sets"][name]["truncation"] if (row["k"], row["directions"]) == (k, directions))


def _free(found: list[dict[str, Any]]) -> list[str]:
    if "skipped" in found[0]:
        return []
    rows = {
        "WER, the used directions alone": [one["without"]["value"] for one in found],
        "WER, with the speaker vector in the free ones": [one["with"]["value"] for one in found],
        "change (%)": [one["with"].get("change", 0.0) for one in found],
        "speakers named with the vector (%)": [one["accuracy_with"] for one in found],
        "without (%)": [one["accuracy_without"] for one in found],
        "chance (%)": [one["chance"] for one in found],
    }
    told = ["", f"Free directions: beyond the first {found[0]['used']}, {found[0]['speakers']} speakers.", "",
            "| | |", "| --- | --- |"]  # fmt: skip
    return told + [f"| {name} | {over_seeds(values)} |" for name, values in rows.items()]


def main() -> None:
    kept = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/one-layer-results")
    everything_trained()
    everything_scored(kept)
    told = "\n".join([*tables(kept), *subspace_tables()])
    (kept / "tables.md").write_text(told + "\n")
    print(told)


if __name__ == "__main__":
    main()
