"""How much faster than real time each vocoder speaks, beside HiFi-GAN as `transformers` has it for SpeechT5.

All have random weights: speed only. Every contestant turns the same seconds of log-mel frames into samples at 16 kHz,
one row, one thread; contestants interleaved, medians of processor time. `step` is a stream's step of 120 ms of frames.
Target, written before the first run: the default vocoder at least 20 times real time. One JSON line. The published
Vocos (24 kHz, 13.5 M parameters, 100 bins) takes part where the package `vocos` is installed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from stentor.train.assembly import build
from stentor_tts.mel import BINS, FRAME_RATE

SECONDS, ROUNDS, STEP = 4.8, 7, 12
OURS = ("source-filter", "vocos", "hifigan", "griffin-lim")
PEER = "speecht5-hifigan"
TARGETS = {"source-filter": 20.0, "vocos": 20.0}
Work = Callable[[], object]


@dataclass(frozen=True)
class Contestant:
    """Speaks `SECONDS` of audio in `work`; makes a step of 120 ms of a stream in `step`."""

    name: str
    parameters: int
    work: Work
    step: Work | None = None


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    contestants = [*ours(), peer(), *published()]
    seconds: dict[str, list[float]] = {one.name: [] for one in contestants}
    steps: dict[str, list[float]] = {one.name: [] for one in contestants if one.step}
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            for one in contestants:
                timed(seconds[one.name], one.work, keep=number > 0)  # the first round warms up
                for _ in range(4 if one.step else 0):
                    timed(steps[one.name], one.step, keep=number > 0)
    speed = {name: SECONDS / statistics.median(found) for name, found in seconds.items()}
    result = {
        "benchmark": "vocoder",
        "seconds": SECONDS,
        "parameters": {one.name: one.parameters for one in contestants},
        "times_real_time": {name: round(value, 1) for name, value in speed.items()},
        "step_ms": {name: round(1000 * statistics.median(found), 2) for name, found in steps.items()},
        "ratios": {f"{name}/{PEER}": round(speed[name] / speed[PEER], 2) for name in speed if name != PEER},
        "targets": TARGETS,
        "met": {name: speed[name] >= target for name, target in TARGETS.items()},
    }
    print(json.dumps(result))


def timed(found: list[float], work: Work | None, *, keep: bool) -> None:
    began = time.process_time()
    if work is not None:
        work()
    if keep:
        found.append(time.process_time() - began)


def ours() -> Iterator[Contestant]:
    frames = torch.randn(1, round(SECONDS * FRAME_RATE), BINS) - 5
    for name in OURS:
        vocoder = build("vocoder", {"name": name}).eval()
        yield Contestant(name, count(vocoder), speaking(vocoder, frames), stepping(vocoder, frames))


def speaking(vocoder: nn.Module, frames: torch.Tensor) -> Work:
    lengths = torch.tensor([frames.shape[1]])
    return lambda: vocoder(frames, lengths)


def stepping(vocoder: nn.Module, frames: torch.Tensor) -> Work | None:
    """A step in the middle of a stream, from the same state every time."""
    if "streaming" not in vocoder.capabilities:
        return None
    with torch.inference_mode():
        _, state = vocoder.step(frames[:, : 5 * STEP], vocoder.initial_state(1))
    return lambda: vocoder.step(frames[:, 5 * STEP : 6 * STEP], state)


def peer() -> Contestant:
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    config = SpeechT5HifiGanConfig()
    hop = 1
    for rate in config.upsample_rates:
        hop *= rate
    frames = torch.randn(round(SECONDS * config.sampling_rate / hop), config.model_in_dim)
    model = SpeechT5HifiGan(config).eval()
    return Contestant(PEER, count(model), lambda: model(frames))


def published() -> Iterator[Contestant]:
    try:
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone
    except ImportError:
        return
    model = nn.Sequential(VocosBackbone(100, 512, 1536, 8), ISTFTHead(512, 1024, 256)).eval()
    frames = torch.randn(1, 100, round(SECONDS * 24000 / 256))
    yield Contestant("vocos-package", count(model), lambda: model(frames))


def count(model: nn.Module) -> int:
    return sum(tensor.numel() for tensor in model.parameters())


if __name__ == "__main__":
    main()
