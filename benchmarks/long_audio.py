"""Peak memory and speed of transcribing 5, 20 and 60 minutes: memory must not grow with the length.

The files are made by repeating recordings; each is transcribed by ``stentor transcribe`` in a process of its own, on
one thread. Memory is the peak resident size, speed is audio seconds per second of processor time. Run with
``python benchmarks/long_audio.py [--recordings FOLDER] [--minutes 5 20 60] [--run RUN] [--vad NAME]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stentor.data import audio

RATE = 16000
RECORDINGS = Path(__file__).parents[1] / "../shared/data/librispeech_mini/librispeech_test-other"
CHILD = """
import json, resource, sys, time
import torch
torch.set_num_threads(1)
from stentor.cli import main
code = main(["transcribe", sys.argv[1], "-o", sys.argv[2], "--format", "json", "--device", "cpu", *sys.argv[3:]])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(json.dumps({"code": code, "peak_mb": round(peak, 1), "processor_seconds": round(time.process_time(), 1)}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="a folder of speech")
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 20, 60])
    parser.add_argument("--run", help="a trained run in place of the embedded recogniser")
    parser.add_argument("--vad", help="hear the stretches of speech alone that this detector finds")
    arguments = parser.parse_args()
    options = [
        word for name in ("run", "vad") if getattr(arguments, name) for word in (f"--{name}", vars(arguments)[name])
    ]
    clips = sorted(path for path in arguments.recordings.rglob("*") if path.suffix in audio.SUFFIXES)
    if not clips:
        print(f"{arguments.recordings} holds no recordings; name a folder with --recordings", file=sys.stderr)
        return 2
    speech = np.concatenate([audio.read(clip, RATE) for clip in clips])
    runs = {f"{minutes:g}": measure(speech, minutes, options) for minutes in arguments.minutes}
    peaks = [run["peak_mb"] for run in runs.values()]
    print(
        json.dumps(
            {
                "benchmark": "long_audio",
                "options": options,
                "minutes": runs,
                "peak_ratio": round(peaks[-1] / peaks[0], 3),
            }
        )
    )
    return 0


def measure(speech: np.ndarray, minutes: float, options: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder) / "long.wav", Path(folder) / "long.json"
        left = round(minutes * 60 * RATE)
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            while left > 0:
                file.write(speech[:left])
                left -= len(speech[:left])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        words = [sys.executable, "-c", CHILD, str(path), str(output), *options]
        child = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        run: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        transcript = json.loads(output.read_text())
        speed = round(transcript["duration"] / run["processor_seconds"], 1)
        return {**run, "times_real_time": speed, "words": len(transcript["text"].split())}


if __name__ == "__main__":
    sys.exit(main())
