"""Greedy transcripts of our Whisper against an independent runtime on the same weights, and the word error rate.

The other runtime is faster-whisper (CTranslate2, float32, beam 1, temperature 0, no previous text, the same prompt).
Both get every clip padded with silence to 30 s, as Whisper was trained; ``raw`` is what faster-whisper gives when it
pads by itself, which it does with a log-mel of 0 in place of silence. One thread, processor time, clips interleaved.
Run with ``python benchmarks/whisper_agreement.py [--clips FOLDER]`` on a folder that has a ``manifest.jsonl`` of audio
and text.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

from stentor.data import audio
from stentor.model.weights import resolve
from stentor.plugins import registry

WEIGHTS, RATE, WINDOW = "openai/whisper-tiny.en", 16000, 480000
CLIPS = Path(__file__).parents[1] / "../shared/data/librispeech_mini"
MODES = {"text": False, "timestamps": True}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    folder = parser.parse_args().clips
    try:
        from faster_whisper import WhisperModel
    except ImportError as cause:
        print(f"faster-whisper is needed for the comparison ({cause}): pip install faster-whisper", file=sys.stderr)
        return 2
    package = resolve(WEIGHTS).checkpoint.file("tokenizer.json")
    assert package is not None
    torch.set_num_threads(1)
    peer = WhisperModel(str(package.parent), device="cpu", compute_type="float32", cpu_threads=1)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row.get("text")]
    clips = [audio.read(folder / row["audio"], RATE) for row in rows]
    print(json.dumps(compare(peer, clips, rows), ensure_ascii=False))
    return 0


def compare(peer: Any, clips: list[np.ndarray], rows: list[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {"benchmark": "whisper_agreement", "clips": len(clips)}
    references = [row["text"] for row in rows]
    for mode, timestamps in MODES.items():
        ours, theirs, raw, seconds = _transcribe(peer, clips, timestamps)
        differing = [index for index in range(len(clips)) if ours[index] != theirs[index]]
        result[mode] = {
            "equal": len(clips) - len(differing),
            "equal_raw": sum(a == b for a, b in zip(ours, raw, strict=True)),
            "differences": [
                {"clip": rows[index]["audio"], "ours": ours[index], "theirs": theirs[index]} for index in differing
            ],
            "wer": _wer(references, ours),
            "wer_raw": _wer(references, raw),
            "processor_seconds": {name: round(value, 2) for name, value in seconds.items()},
        }
    result["normaliser"] = registry().build("metric", "wer").normaliser.describe()
    result["audio_seconds"] = round(sum(map(len, clips)) / RATE, 1)
    return result


def _transcribe(
    peer: Any, clips: list[np.ndarray], timestamps: bool
) -> tuple[list[str], list[str], list[str], dict[str, float]]:
    recogniser = registry().build("recogniser", "whisper", weights=WEIGHTS, timestamps=timestamps, device="cpu")
    recogniser.load_pretrained()

    def other(clip: np.ndarray) -> str:
        segments, _ = peer.transcribe(
            clip, language="en", beam_size=1, temperature=[0.0], condition_on_previous_text=False,
            without_timestamps=not timestamps, compression_ratio_threshold=None, log_prob_threshold=None,
            no_speech_threshold=None,
        )  # fmt: skip
        return " ".join(segment.text.strip() for segment in segments)

    def own(clip: np.ndarray) -> str:
        return " ".join(segment.text for segment in recogniser.recognise([clip])[0].segments)

    seconds = {"ours": 0.0, "theirs": 0.0}
    found: dict[str, list[str]] = {"ours": [], "theirs": []}
    contestants: dict[str, Callable[[np.ndarray], str]] = {"ours": own, "theirs": other}
    for clip in clips:
        padded = np.pad(clip, (0, max(0, WINDOW - len(clip))))
        for name, contestant in contestants.items():
            start = time.process_time()
            found[name].append(contestant(clip if name == "ours" else padded))
            seconds[name] += time.process_time() - start
    return found["ours"], found["theirs"], [other(clip) for clip in clips], seconds


def _wer(references: list[str], outputs: list[str]) -> float:
    counts = registry().build("metric", "wer").counts(references, outputs)
    return round(100 * sum(errors for errors, _ in counts) / sum(units for _, units in counts), 2)


if __name__ == "__main__":
    sys.exit(main())
