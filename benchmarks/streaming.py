"""Latency, cost and exactness of live transcription: streamed texts against offline ones, audio and processor time.

Utterances are joined with pauses of 1.2 s and fed in blocks of 20 ms, on one thread. For every utterance that the
stream found: how much audio had been fed after its speech began when the first partial text came, and after its speech
ended when the final one did, each with the processor time of the call that gave it. `real_time_factor` is processor
time over audio, `slowest_call` the 99th percentile of calls. Targets, written before the first run: all texts equal;
frame by frame, first partial after 1.0 s or less in the median and a real-time factor of 0.2 or less. Run with
``python benchmarks/streaming.py [--run RUN ...] [--manifest M | --recordings FOLDER] [--limit N]``; without a run, the
embedded Whisper is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stentor.data import audio
from stentor.plugins import registry
from stentor.vad.endpoint import EndpointSettings
from stentor_asr.streaming.choice import listener
from stentor_asr.streaming.events import Event, Final, Partial
from stentor_asr.streaming.listener import Listener
from stentor_asr.streaming.session import StreamingRecogniser
from stentor_asr.transcribe.choice import choose
from stentor_asr.transcribe.recogniser import Recogniser

RECORDINGS = Path(__file__).parents[1] / "../shared/data/librispeech_mini/librispeech_test-other"
BLOCK, PAUSE = 0.02, 1.2  # s
Timed = tuple[Event, int, float]
"""An event, how many samples had been fed when it came, and the processor time of the call that gave it (s)."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, action="append", help="a trained run; may be repeated")
    parser.add_argument("--manifest", type=Path, help="utterances of a manifest")
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="or else a folder of speech")
    parser.add_argument("--limit", type=int, default=6, help="utterances; 0: all")
    parser.add_argument("--vad", default="energy")
    parser.add_argument("--interval", type=float, default=1.0, help="between partials that are heard anew (s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = list(utterances(arguments))
    if not clips:
        print(f"{arguments.recordings} holds no recordings; name a folder with --recordings", file=sys.stderr)
        return 2
    for run in arguments.run or [None]:
        recogniser = choose(run, device="cpu")
        about = recogniser.load_pretrained()
        name = about.get("name", "whisper") if run else "embedded whisper"
        print(
            json.dumps({"benchmark": "streaming", "recogniser": name, **measure(recogniser, clips, arguments)}),
            flush=True,
        )
    return 0


def utterances(arguments: argparse.Namespace) -> Iterator[np.ndarray]:
    if arguments.manifest is None:
        clips = sorted(path for path in arguments.recordings.rglob("*") if path.suffix in audio.SUFFIXES)
        yield from (audio.read(path, 16_000) for path in clips[: arguments.limit or None])
        return
    from stentor.data.manifest import load

    for row in list(load(arguments.manifest))[: arguments.limit or None]:
        yield audio.read(row.audio, 16_000, row.start, row.duration)


def measure(recogniser: Recogniser, clips: list[np.ndarray], arguments: argparse.Namespace) -> dict[str, Any]:
    understands = listener(recogniser, interval=arguments.interval)
    vad = registry().build("vad", arguments.vad)
    vad.load_pretrained()
    rules = EndpointSettings(min_silence=0.6, padding=0.3, longest=understands.longest)
    streaming = StreamingRecogniser(understands, vad, rules)
    samples = joined(clips, understands.sample_rate)
    events, calls = timed(streaming, samples)
    return {
        "listener": type(understands).__name__,
        "vad": arguments.vad,
        "utterances": len(clips),
        "audio_seconds": round(len(samples) / understands.sample_rate, 1),
        **latencies(events, understands.sample_rate, rules.padding),
        "real_time_factor": round(sum(calls) / (len(samples) / understands.sample_rate), 4),
        "slowest_call": round(sorted(calls)[int(0.99 * len(calls))], 4),
        **equal(recogniser, understands, samples, clips, [event for event, _, _ in events]),
    }


def joined(clips: list[np.ndarray], rate: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 3e-4, round(PAUSE * rate)).astype(np.float32)
    return np.concatenate([noise, *(part for clip in clips for part in (clip, noise))])


def timed(streaming: StreamingRecogniser, samples: np.ndarray) -> tuple[list[Timed], list[float]]:
    size, stream = round(BLOCK * streaming.listener.sample_rate), streaming.start()
    events: list[Timed] = []
    calls: list[float] = []
    for at in range(0, len(samples), size):
        begin = time.process_time()
        new = streaming.feed(stream, samples[at : at + size])
        calls.append(time.process_time() - begin)
        events += [(event, min(at + size, len(samples)), calls[-1]) for event in new]
    return events, calls


def latencies(events: list[Timed], rate: int, padding: float) -> dict[str, Any]:
    """Of the first partial after speech began, of the final one after it ended: median and 95th percentile (s)."""
    first: list[tuple[float, float]] = []
    final: list[tuple[float, float]] = []
    waiting = True
    for event, fed, cost in events:
        if isinstance(event, Partial) and waiting:
            first.append((fed / rate - (event.start + padding), cost))
        elif isinstance(event, Final):
            final.append((fed / rate - (event.end - padding), cost))
        waiting = isinstance(event, Final)
    return {"first_partial": summary(first), "final": summary(final)}


def summary(found: list[tuple[float, float]]) -> dict[str, Any]:
    if not found:
        return {"count": 0}
    both = sorted(fed + cost for fed, cost in found)
    return {
        "count": len(found),
        "audio": round(statistics.median(fed for fed, _ in found), 3),
        "processor": round(statistics.median(cost for _, cost in found), 4),
        "median": round(statistics.median(both), 3),
        "p95": round(both[int(0.95 * len(both))], 3),
    }


def equal(
    recogniser: Recogniser, understands: Listener, samples: np.ndarray, clips: list[np.ndarray], events: list[Event]
) -> dict[str, Any]:
    """How many final texts, and how many texts of whole utterances in blocks of random size, are the offline ones."""
    rate = understands.sample_rate
    finals = [event for event in events if isinstance(event, Final)]
    pieces = [samples[round(one.start * rate) : round(one.end * rate)] for one in finals]
    same = sum(text(recogniser, piece) == one.text for one, piece in zip(finals, pieces, strict=True))
    whole = sum(text(recogniser, clip) == fed(understands, clip) for clip in clips)
    return {"finals": len(finals), "finals_equal": same, "whole_equal": whole}


def text(recogniser: Recogniser, samples: np.ndarray) -> str:
    return " ".join(segment.text for segment in recogniser.recognise([samples])[0].segments)


def fed(understands: Listener, samples: np.ndarray) -> str:
    hearing, rng, at = understands.begin(), np.random.default_rng(len(samples)), 0
    while at < len(samples):
        size = int(rng.integers(1, understands.sample_rate))
        hearing.feed(samples[at : at + size])
        at += size
    return " ".join(segment.text for segment in hearing.finish().segments)


if __name__ == "__main__":
    sys.exit(main())
