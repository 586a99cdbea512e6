"""How soon a voice is heard, and whether it keeps up: first-packet latency and real-time factor of streaming speech.

Texts are spoken one after the other, as a client would have them streamed at batch 1, with one thread and with two.
The first packet is the first chunk of samples that is there to be played, counted from the call, with the example of
the voice already heard. The real-time factor is the time of the whole call over the audio that it made; wall time and
processor time of all threads both stand there, and the machine's load, which wall time suffers from. `longest_gap` is
the most by which a chunk came after the audio before it had been played: above 0 a listener hears a stutter. Targets,
written before the first run: first packet 400 ms or less in the median at batch 1 on two cores, real-time factor
below 1. Run with
``python benchmarks/first_packet.py [--run RUN] [--voice FILE] [--texts FILE] [--repeats N]``, or ``--engine NAME``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

# As the command line does: threads that wait by spinning take the core from the one they wait for on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from stentor_tts.speaking.choice import choose
from stentor_tts.speaking.reference import voice_sample
from stentor_tts.speaking.synthesiser import Synthesiser

TEXTS = (
    "turn the lights in the kitchen off",
    "please play some quiet music in the bedroom",
    "what will the weather be like tomorrow",
    "set a timer for twenty minutes",
    "call my brother when I get home",
    "add bread and butter to the list",
)
TARGETS = {"first_packet_seconds": 0.4, "real_time_factor": 1.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--run", type=Path, default=Path("runs/speak"), help="a run, or an export (default runs/speak)")
    who.add_argument("--engine", default="", help="a registered voice")
    parser.add_argument("--voice", type=Path, help="a recording to sound like")
    parser.add_argument("--style", default="", help="e.g. 'voice: hibari'")
    parser.add_argument("--texts", type=Path, help="a file with one text a line, in place of six of ours")
    parser.add_argument("--repeats", type=int, default=3, help="of each text (default 3)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="to measure with (default 1 2)")
    arguments = parser.parse_args()
    texts = arguments.texts.read_text().splitlines() if arguments.texts else list(TEXTS)
    if not arguments.engine and not arguments.run.exists():
        print(json.dumps({"benchmark": "first_packet", "skipped": f"there is no run {arguments.run}"}))
        return 0
    speaker = choose(None if arguments.engine else arguments.run, arguments.engine, device="cpu")
    speaker.load_pretrained()
    found = {}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        found[str(threads)] = measure(Synthesiser(speaker), [text for text in texts if text.strip()], arguments)
    told = {"benchmark": "first_packet", "voice": speaker.name, "texts": len(texts), "repeats": arguments.repeats}
    print(json.dumps({**told, "cores": os.cpu_count(), "threads": found, "targets": TARGETS, "met": met(found)}))
    return 0


def measure(synthesiser: Synthesiser, texts: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians over all calls with the number of threads that is set."""
    options = {"voice": arguments.voice, "style": arguments.style}
    begin = time.perf_counter()
    for _ in synthesiser.stream(texts[0], **options):
        break
    warm = time.perf_counter() - begin
    before = os.getloadavg()[0]
    calls = [spoken(synthesiser, text, options) for _ in range(arguments.repeats) for text in texts]
    return {
        "first_packet_seconds": summary([call["first"] for call in calls]),
        "first_packet_processor_seconds": summary([call["first_cpu"] for call in calls]),
        "first_packet_audio_seconds": summary([call["packet"] for call in calls]),
        "real_time_factor": summary([call["wall"] / call["audio"] for call in calls]),
        "real_time_factor_processor": summary([call["cpu"] / call["audio"] for call in calls]),
        "longest_gap": summary([call["gap"] for call in calls]),
        "audio_seconds": round(sum(call["audio"] for call in calls), 2),
        "first_call_seconds": round(warm, 3),
        "reference_seconds": len(voice_sample(arguments.voice).audio) / 16_000 if arguments.voice else 0.0,
        "load": [round(before, 2), round(os.getloadavg()[0], 2)],
    }


def spoken(synthesiser: Synthesiser, text: str, options: dict[str, Any]) -> dict[str, float]:
    """One call: when its chunks came (s)."""
    rate = synthesiser.speaker.sample_rate
    wall, cpu = time.perf_counter(), time.process_time()
    came: list[tuple[float, int]] = []
    first_cpu = 0.0
    for chunk in synthesiser.stream(text, **options):
        came.append((time.perf_counter() - wall, len(chunk)))
        first_cpu = first_cpu or time.process_time() - cpu
    whole, spent = time.perf_counter() - wall, time.process_time() - cpu
    played = came[0][0] + np.cumsum([0, *(count for _, count in came[:-1])]) / rate
    gap = max(at - due for (at, _), due in zip(came, played, strict=True))
    audio = sum(count for _, count in came) / rate
    first = {"first": came[0][0], "first_cpu": first_cpu, "packet": came[0][1] / rate}
    return {**first, "wall": whole, "cpu": spent, "audio": audio, "gap": float(gap)}


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median": round(statistics.median(ordered), 4), "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 4)}


def met(found: dict[str, dict[str, Any]]) -> dict[str, bool]:
    """Whether the targets are met with two threads, or as many as were measured."""
    best = found[max(found, key=int)]
    return {name: best[name]["median"] <= limit for name, limit in TARGETS.items()}


if __name__ == "__main__":
    sys.exit(main())
