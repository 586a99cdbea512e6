"""A student trained on nothing but what a trained voice said: text, rewriting, speech, filters, training, judges.

    python benchmarks/distillation.py [FOLDER]

Needs the run of recipe `tts/speak` in runs/speak and its corpus in corpora/styles. The texts are sentences of the
training set, each once; the teacher says them, and what it says is kept where its length fits, it is speech, and
Whisper hears the text in it. Teacher and student then say the held-out sentences. Target, written before the first
scored run: the student's character error rate (CER) is at most twice the teacher's, by moonshine; Whisper filtered, so
it judges nothing. Begins where it was cut off; prints one JSON line. All speech is synthetic.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from stentor.data import manifest

STYLES, TEACHER = Path("corpora/styles"), Path("runs/speak")
SET = "heldout-sentences"
FILTERS = ("duration", "speech", "agreement:recogniser=whisper,most=0.2")
JUDGES = ("cer-moonshine", "cer-whisper")
LIMIT = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/distillation"))
    parser.add_argument("--texts", type=int, default=900, help="sentences that the teacher says (default 900)")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if lacking := [str(path) for path in (STYLES, TEACHER) if not path.exists()]:
        print(json.dumps({"benchmark": "distillation", "skipped": f"needs {', '.join(lacking)}"}))
        return
    corpus, student = folder / "corpus", folder / "student"
    listed = texts(folder / "texts.txt", arguments.texts)
    if not (corpus / "train.jsonl.gz").exists():
        kept = [word for name in FILTERS for word in ("--filter", name)]
        stentor("synthesise", str(listed), "-o", str(corpus), "--voice", f"run:folder={TEACHER}", "--rewrite", "spoken",
                *kept)  # fmt: skip
    data = [f"data.{part}={corpus}/{part}.jsonl.gz" for part in ("train", "valid")]
    if not (student / "config.yaml").exists():
        stentor("train", "tts/distil", "--run", str(student), *data)
    else:
        stentor("train", "--resume", str(student))
    scores = {"teacher": scored(TEACHER, folder / "teacher.json"), "student": scored(student, folder / "student.json")}
    ratios = {judge: scores["student"][judge]["value"] / scores["teacher"][judge]["value"] for judge in JUDGES}
    met = ratios[JUDGES[0]] <= LIMIT
    print(json.dumps({"benchmark": "distillation", "kept": len(manifest.load(corpus / "train.jsonl.gz")), **scores,
                      "ratios": ratios, "target": {JUDGES[0]: LIMIT}, "met": met}))  # fmt: skip


def texts(path: Path, count: int) -> Path:
    """Sentences of the training set, one a line, in an order of their own."""
    if not path.exists():
        found = sorted({row.text for row in manifest.load(STYLES / "train.jsonl.gz") if row.text})
        random.Random(0).shuffle(found)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(found[:count]) + "\n", encoding="utf-8")
    return path


def scored(run: Path, kept: Path) -> dict[str, Any]:
    """CER of a run on the held-out sentences by both judges, with intervals (%)."""
    result = run / f"evaluation/{SET}.json"
    if not kept.exists():
        if not (result.exists() and set(JUDGES) <= set(read(result))):
            stentor("evaluate", str(run), "--sets", SET)
        found = {judge: {part: read(result)[judge][part] for part in ("value", "low", "high")} for judge in JUDGES}
        kept.write_text(json.dumps(found), encoding="utf-8")
    told: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return told


def read(result: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))["metrics"]
    return found


def stentor(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "stentor", *words], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
