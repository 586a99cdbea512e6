"""The main job, end to end: transcribe a human recording, make a corpus, train, evaluate, report.

Every step is a command that works by itself; this script prints each one and runs it. Steps that were finished by an
earlier call are not repeated.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from stentor.config import Recipe, compose

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path("corpora/commands")
HUMAN = Path("corpora/librivox")
RUN = Path("runs/demo")
RECIPE = "asr/speechlm"
BEGAN = time.monotonic()


def step(title: str, *command: str | Path, needed: bool = True) -> bool:
    """Print and run one ``stentor`` command; tell whether it succeeded, and stop the demo if a needed one did not."""
    words = [str(word) for word in command]
    print(f"\n== {title}  [{time.monotonic() - BEGAN:.0f} s]\n$ stentor {shlex.join(words)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "stentor", *words], cwd=ROOT, check=False).returncode
    if code and needed:
        sys.exit(f"demo: '{words[0]}' failed with exit code {code}; the message above says why")
    return code == 0


def human_recording() -> Path | None:
    """A human recording out of a Debian package, or None where it cannot be had."""
    made = step("Fetch a human reading, out of a Debian package", "prepare", "librivox", "-o", HUMAN, needed=False)
    files = sorted((ROOT / HUMAN).rglob("*.wav"), key=lambda file: file.stat().st_size)
    return files[-1].relative_to(ROOT) if made and files else None


def train() -> None:
    """Train, or go on with an earlier demo's run if it is of the same recipe and data; else that one is set aside."""
    if (ROOT / RUN / "config.yaml").exists():
        same = Recipe.from_file(ROOT / RUN / "config.yaml").config == compose(RECIPE).config
        if same and step("Go on with the run of an earlier demo", "train", "--resume", RUN, needed=False):
            return
        aside = next(free for n in range(1, 10_000) if not (free := ROOT / f"{RUN}-{n}").exists())
        (ROOT / RUN).rename(aside)
        print(f"the earlier demo's run is another one; it is now in {aside.relative_to(ROOT)}")
    step("Train a speech-language model from YAML", "train", RECIPE, "--run", RUN)


def main() -> None:
    """Run the demo."""
    recording = human_recording()
    if recording:
        step("Transcribe it with the embedded recogniser", "transcribe", recording)
    else:
        print("No human recording can be had on this machine; going on without. `stentor transcribe FILE` takes yours.")
    step("Make a training corpus of synthetic speech", "prepare", "commands", "-o", CORPUS)
    train()
    step("Evaluate it", "evaluate", RUN)
    step("Write the report", "report", RUN)
    print(f"\n== done in {time.monotonic() - BEGAN:.0f} s. The report: {ROOT / RUN / 'report.html'}")


if __name__ == "__main__":
    main()
