"""What hotwords do: lists for every utterance, with the words that matter and with words that nobody says.

For each utterance the list holds the two words of its transcript that are rarest in the training texts, and distractors
drawn from the other words of the training texts. The list is known to hold what is said, as an address book would be
when a contact is called: this measures the mechanism, not a model of which phrases to expect. All rows of a batch have
lists of their own. Prints one JSON line per boost: the word error rate, how many of the listed words that were said
were written, and how many distractors were written that nobody said.

Run with ``python benchmarks/hotwords.py RUN MANIFEST... --boosts 0 1 2 4 [--lm ARPA --weight 0.2]``.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from stentor import train
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.evaluate import significance
from stentor.evaluate.alignment import distance
from stentor.evaluate.decoding import batch_of, batches, read
from stentor.evaluate.settings import EvaluateSettings
from stentor_asr.decoders.beam import CTCBeam

LISTED, SEED = 2, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("manifests", nargs="+")
    parser.add_argument("--boosts", type=float, nargs="+", default=[0.0, 1.0, 2.0, 4.0])
    parser.add_argument("--distractors", type=int, default=20, help="on each list (default 20)")
    parser.add_argument("--beam", type=int, default=16)
    parser.add_argument("--lm", default="", help="n-gram model of words")
    parser.add_argument("--weight", type=float, default=0.5, help="of the model")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe, loaded = train.load(arguments.run)
    task: Any = loaded
    decoder = CTCBeam(beam=arguments.beam, lm=arguments.lm, weight=arguments.weight)
    decoder.bind(task.text)
    texts = [row.text or "" for row in manifest.load(recipe.config["data"]["train"])]
    known = Counter(word for text in texts for word in text.split())
    for path in arguments.manifests:
        rows = manifest.load(path)
        heard = _posteriors(task, rows)
        lists = {row.id: _list(row, known, arguments.distractors) for row in rows}
        for boost in arguments.boosts:
            told = {"lm": bool(arguments.lm), "beam": arguments.beam, "distractors": arguments.distractors}
            print(json.dumps({"set": path, "boost": boost, **told, **_score(task, decoder, heard, lists, boost)}))


def _list(row: Utterance, known: Counter[str], distractors: int) -> tuple[list[str], list[str]]:
    """The words that are said, and those that are not."""
    said = sorted(set((row.text or "").split()), key=lambda word: (known[word], word))
    others = sorted(known.keys() - set(said))
    return said[:LISTED], random.Random(f"{SEED} {row.id}").sample(others, distractors)


def _posteriors(task: Any, rows: Sequence[Utterance]) -> list[tuple[list[Utterance], Any]]:
    found = []
    with torch.inference_mode():
        for group in batches(rows, EvaluateSettings()):
            waves = [read(row, task.sample_rate) for row in group]
            found.append((group, task.posteriors(batch_of(group, waves, torch.device("cpu")))))
    return found


def _score(task: Any, decoder: CTCBeam, heard: Any, lists: dict[str, Any], boost: float) -> dict[str, Any]:
    errors: list[tuple[float, float]] = []
    hits = due = wrong = 0
    for group, posteriors in heard:
        hotwords = [{word: boost for part in lists[row.id] for word in part} for row in group] if boost else None
        found = decoder.hypotheses(*posteriors, hotwords=hotwords)
        for row, readings in zip(group, found, strict=True):
            said, written = (row.text or "").split(), task.text.decode([i - 1 for i in readings[0].ids]).split()
            errors.append((distance(said, written), len(said)))
            listed, distractors = lists[row.id]
            hits += sum(word in written for word in listed)
            due += len(listed)
            wrong += sum(word in distractors for word in written)
    interval = significance.bootstrap(errors)
    wer = [round(100 * part, 2) for part in (interval.value, interval.low, interval.high)]
    return {"wer_percent": wer, "listed_found_percent": round(100 * hits / due, 2), "distractors_written": wrong,
            "utterances": len(errors)}  # fmt: skip


if __name__ == "__main__":
    main()
