"""Do labels that several recognisers agree on hold fewer errors than the best of them alone?

    stentor pseudo-label corpora/commands/SET.jsonl.gz -o runs/rover/SET.jsonl.gz --normaliser english \\
        --model openai/whisper-tiny.en --run runs/speechlm --run runs/ctc
    python benchmarks/rover.py corpora/commands runs/rover SET ...

Word error rates of every system on the whole set and on what the filter keeps, and of the labels. Target, for every
set: the labels' rate on what is kept is below the rate of the best single system on the whole set, the 95 % interval of
the difference (paired bootstrap over the utterances of the set, dropped ones without words) below nought. One JSON line
a set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from stentor.data import manifest
from stentor.evaluate.alignment import distance
from stentor.evaluate.metrics import WordErrorRate
from stentor.evaluate.significance import Comparison, Counts, bootstrap, compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("references", type=Path, nargs="?", default=Path("corpora/commands"))
    parser.add_argument("labels", type=Path, nargs="?", default=Path("runs/rover"))
    parser.add_argument("sets", nargs="*", default=["heldout-sentences", "heldout-voice"])
    arguments = parser.parse_args()
    for name in arguments.sets:
        print(json.dumps(scored(name, arguments.references / f"{name}.jsonl.gz", arguments.labels)))


def scored(name: str, references: Path, folder: Path) -> dict[str, object]:
    texts = {row.id: row.text or "" for row in manifest.load(references)}
    labels = {row.id: row.text or "" for row in manifest.load(folder / f"{name}.jsonl.gz")}
    systems = {file.stem: outputs(file) for file in sorted((folder / f"{name}.transcripts").glob("*.json"))}
    whole = {system: counted(texts, heard, texts) for system, heard in systems.items()}
    kept = {system: counted(texts, heard, labels) for system, heard in systems.items()}
    label = counted(texts, labels, labels, "none")
    best = min(whole, key=lambda system: rate(whole[system])["wer"])
    apart = compare(whole[best], label)
    return {
        "benchmark": "rover",
        "set": name,
        "utterances": len(texts),
        "kept": len(labels),
        "whole": {system: rate(counts) for system, counts in whole.items()},
        "on_kept": {system: rate(counts) for system, counts in kept.items()},
        "labels": rate(label),
        "best": best,
        "labels_minus_best": told(apart),
        "labels_minus_best_on_kept": told(compare(kept[best], label)),
        "target": "labels_minus_best below 0",
        "met": apart.high < 0,
    }


def told(apart: Comparison) -> list[float]:
    return [round(100 * value, 2) for value in (apart.difference, apart.low, apart.high)]


def outputs(file: Path) -> dict[str, str]:
    return {row["id"]: row["output"] for row in json.loads(file.read_text("utf-8"))["utterances"]}


def counted(
    texts: Mapping[str, str], heard: Mapping[str, str], scope: Mapping[str, str], normaliser: str = "english"
) -> Counts:
    """Errors and words of every utterance, none of both outside `scope`; `normaliser` is for what was heard.

    Labels are in the normaliser's form already, and a second time would change them: "40 +3" becomes "40 3".
    """
    said, meant = WordErrorRate(normaliser=normaliser), WordErrorRate()
    pairs = [(meant.tokens(texts[one]), said.tokens(heard.get(one, ""))) for one in texts]
    counts = [(float(distance(*pair)), float(len(pair[0]))) for pair in pairs]
    return [pair if one in scope else (0.0, 0.0) for one, pair in zip(texts, counts, strict=True)]


def rate(counts: Counts) -> dict[str, float]:
    found = bootstrap(counts)
    return {
        key: round(100 * value, 2) for key, value in (("wer", found.value), ("low", found.low), ("high", found.high))
    }


if __name__ == "__main__":
    main()
