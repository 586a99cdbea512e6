"""`stentor serve` under 32 concurrent clients: how many are dropped, how long they wait, and what batching is worth.

Starts the real server as a process and drives it through OpenAI's client over a local socket: first one request after
another, then all clients at once, then short requests while a long upload is in work. Speech is synthetic (eSpeak NG).
Targets, written before the first scored run: nobody dropped, every text as it is alone; the 95th percentile of waiting
within 1.2 of the time that one round of the same requests takes one after another; beside a long upload the short ones
within 2.0 of what they take without. Run with ``python benchmarks/server.py [--run RUN] [--clients N] [--rounds N]``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import soundfile

from stentor.plugins import registry

PLACES = ("kitchen", "hall", "garage", "attic")
DEEDS = ("open the window in the {}", "turn off the lights in the {}", "when does the train to the {} leave",
         "please close the door of the {}", "set the heating in the {} to twenty degrees", "is anybody in the {}",
         "play some music in the {} tonight", "remind me to clean the {} on monday morning")  # fmt: skip
LONG_SECONDS = 240.0
SHORT_CLIENTS = 8
Take = tuple[str, bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="serve this run in place of the embedded Whisper")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2, help="requests of each client")
    arguments = parser.parse_args()
    takes = list(spoken(arguments.clients))
    words = [str(arguments.run)] if arguments.run else []
    with served(words) as (address, process):
        client = openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=900,
                               http_client=openai.DefaultHttpxClient(trust_env=False))  # fmt: skip
        server = Server(client, process)
        server.ask(takes[0])
        alone = server.together(takes, clients=1)
        crowd = server.together(takes * arguments.rounds, clients=arguments.clients)
        few = server.together(takes[:SHORT_CLIENTS], clients=SHORT_CLIENTS)
        beside = server.beside(longer(takes), takes[:SHORT_CLIENTS])
    model = arguments.run.name if arguments.run else server.model
    tell_crowd(model, arguments, takes, alone, crowd)
    tell_beside(model, few, beside)


class Server:
    """A client of the server, and its process."""

    def __init__(self, client: openai.OpenAI, process: subprocess.Popen[str]) -> None:
        self.client, self.process = client, process
        self.model = client.models.list().data[0].id

    def ask(self, take: Take) -> tuple[str | None, float]:
        """The text, None when the request was dropped; and how long it took (s)."""
        begun = time.perf_counter()
        try:
            text = self.client.audio.transcriptions.create(file=take, model=self.model).text
        except openai.APIError:
            text = None
        return text, time.perf_counter() - begun

    def together(self, takes: Sequence[Take], clients: int) -> dict[str, Any]:
        """All requests, by so many clients at once."""
        processor, begun = self.processor(), time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(self.ask, takes))
        return {
            "texts": [text for text, _ in found],
            "waited": [seconds for _, seconds in found],
            "wall": time.perf_counter() - begun,
            "processor": self.processor() - processor,
        }

    def beside(self, long: Take, takes: Sequence[Take]) -> dict[str, Any]:
        """The same while a long upload is in work: it is sent first, the others when the model has begun with it."""
        done: list[float] = []
        before = self.batches()
        uploading = threading.Thread(target=lambda: done.append(self.ask(long)[1]))
        uploading.start()
        while self.batches() == before:
            time.sleep(0.01)
        found = self.together(takes, len(takes))
        running = not done
        uploading.join()
        return {**found, "long": done[0], "long_was_running": running}

    def batches(self) -> int:
        health: Any = self.client.get("../health", cast_to=object)
        return int(health["capabilities"]["transcription"]["batches"])

    def processor(self) -> float:
        """Processor seconds of the server so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(words: Sequence[str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "stentor", "serve", *words, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        yield line.rpartition(" at ")[2].strip(), process
    finally:
        process.terminate()
        process.wait()


def spoken(count: int) -> Iterator[Take]:
    """Sentences of 1 to 4 s at 16 kHz, as wav."""
    for number in range(count):
        text = DEEDS[number % len(DEEDS)].format(PLACES[number // len(DEEDS) % len(PLACES)])
        voice = registry().build("voice", "espeak", variant=("en-us", "en-us+f2")[number % 2])
        samples = voice.speak(text, speed=0.9 + 0.02 * (number % 11))
        content = io.BytesIO()
        soundfile.write(content, samples, voice.sample_rate, format="WAV")
        yield f"{number}.wav", content.getvalue()


def longer(takes: Sequence[Take]) -> Take:
    """The takes one after another, again and again, for `LONG_SECONDS`."""
    parts, rate, seconds = [], 0, 0.0
    for number in range(10_000):
        samples, rate = soundfile.read(io.BytesIO(takes[number % len(takes)][1]), dtype="float32")
        parts += [samples, np.zeros(rate // 4, np.float32)]
        seconds += len(samples) / rate + 0.25
        if seconds >= LONG_SECONDS:
            break
    content = io.BytesIO()
    soundfile.write(content, np.concatenate(parts), rate, format="WAV")
    return "long.wav", content.getvalue()


def tell_crowd(
    model: str, arguments: argparse.Namespace, takes: Sequence[Take], alone: dict[str, Any], crowd: dict[str, Any]
) -> None:
    audio = sum(soundfile.info(io.BytesIO(content)).duration for _, content in takes)
    p95 = percentile(crowd["waited"], 95)
    line = {
        "benchmark": "server/concurrent",
        "model": model,
        "clients": arguments.clients,
        "requests": len(crowd["texts"]),
        "dropped": sum(text is None for text in crowd["texts"]),
        "as_alone": crowd["texts"] == alone["texts"] * arguments.rounds,
        "p50_seconds": round(percentile(crowd["waited"], 50), 3),
        "p95_seconds": round(p95, 3),
        "one_after_another_seconds": round(alone["wall"], 3),
        "alone_p50_seconds": round(percentile(alone["waited"], 50), 3),
        "ratio": round(p95 / alone["wall"], 3),
        "target": 1.2,
        "processor_ratio": round(alone["processor"] * arguments.rounds / crowd["processor"], 3),
        "audio_seconds_per_processor_second": round(audio * arguments.rounds / crowd["processor"], 2),
        "audio_seconds_per_second": round(audio * arguments.rounds / crowd["wall"], 2),
        "cores": os.cpu_count(),
    }
    print(json.dumps(line), flush=True)


def tell_beside(model: str, few: dict[str, Any], beside: dict[str, Any]) -> None:
    without, within = (statistics.median(found["waited"]) for found in (few, beside))
    line = {
        "benchmark": "server/beside-a-long-upload",
        "model": model,
        "clients": SHORT_CLIENTS,
        "dropped": sum(text is None for text in beside["texts"]),
        "as_without": beside["texts"] == few["texts"],
        "median_seconds": round(within, 3),
        "median_seconds_without": round(without, 3),
        "ratio": round(within / without, 3),
        "target": 2.0,
        "long_upload_seconds": round(beside["long"], 3),
        "long_upload_still_in_work": beside["long_was_running"],
    }
    print(json.dumps(line), flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


if __name__ == "__main__":
    main()
