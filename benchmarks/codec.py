"""Encoding and decoding by the neural codecs, beside Mimi as `transformers` has it, and a live chunk of 160 ms.

All have random weights: speed only. `rvq-mimi-size` is the codec `rvq` made as large as Mimi (79 M parameters, or a
little more), with Mimi's frame rate (12.5 Hz) and codebooks (8 of 2048); Mimi works at 24 kHz, ours at 16 kHz. One row
of 4.8 s, one thread, contestants interleaved, medians of processor time. `live` is a chunk of 160 ms in the middle of a
stream, encoded and decoded. Targets, written before the first run: `fsq` as it comes encodes and decodes a chunk in at
most 40 ms; at equal frame rate and parameters ours is ahead of Mimi both ways. One JSON line.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from stentor.interfaces.codec import Codec
from stentor.train.assembly import build

SECONDS, CHUNK, ROUNDS, LIVE_ROUNDS = 4.8, 0.16, 5, 8
MIMI = {"frame_rate": 12.5, "codebooks": 8, "size": 2048}
MIMI_SIZE = {"dim": 384, "layers": 4, "inner": 1088, "inner_layers": 4}
LIVE_TARGET, RATIO_TARGET = 40.0, 1.0
Work = Callable[[], object]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    fsq, rvq = built("fsq"), built("rvq")
    large = built("rvq", **MIMI, **MIMI_SIZE)
    mimi = peer()
    works = {
        **whole("fsq", fsq),
        **whole("rvq-mimi-size", large),
        **of_mimi(mimi),
        **live("fsq", fsq),
        **live("rvq", rvq),
        **live("rvq-mimi-size", large),
    }
    medians = interleaved(works)
    speed = {name: SECONDS / value for name, value in medians.items() if not name.startswith("live")}
    chunks = {name: round(1000 * value, 2) for name, value in medians.items() if name.startswith("live")}
    total = chunks["live fsq encode"] + chunks["live fsq decode"]
    ratios = {way: speed[f"rvq-mimi-size {way}"] / speed[f"mimi {way}"] for way in ("encode", "decode")}
    result = {
        "benchmark": "codec",
        "seconds": SECONDS,
        "parameters": {"fsq": count(fsq), "rvq": count(rvq), "rvq-mimi-size": count(large), "mimi": count(mimi)},
        "times_real_time": {name: round(value, 1) for name, value in speed.items()},
        "live_ms": {name.removeprefix("live "): value for name, value in chunks.items()},
        "ratios": {f"rvq-mimi-size/mimi {way}": round(value, 2) for way, value in ratios.items()},
        "targets": {"live fsq ms": LIVE_TARGET, "ratios": RATIO_TARGET},
        "met": {"live fsq ms": total <= LIVE_TARGET, **{way: value > RATIO_TARGET for way, value in ratios.items()}},
    }
    print(json.dumps(result))


def interleaved(works: dict[str, Work]) -> dict[str, float]:
    """Median processor time of each (s); live chunks are taken several times in a round."""
    found: dict[str, list[float]] = {name: [] for name in works}
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            for name, work in works.items():
                for _ in range(LIVE_ROUNDS if name.startswith("live") else 1):
                    began = time.process_time()
                    work()
                    if number:  # the first round warms up
                        found[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in found.items()}


def built(name: str, **configured: Any) -> Codec:
    codec: Codec = build("codec", {"name": name, **configured}).eval()
    return codec


def whole(name: str, codec: Codec) -> dict[str, Work]:
    samples = round(SECONDS * codec.declared.sample_rate)
    audio, lengths = 0.1 * torch.randn(1, samples), torch.tensor([samples])
    with torch.inference_mode():
        codes = codec.encode(audio, lengths)
    return {f"{name} encode": lambda: codec.encode(audio, lengths), f"{name} decode": lambda: codec.decode(codes)}


def live(name: str, codec: Codec) -> dict[str, Work]:
    """A chunk after four others, from the same state every time."""
    chunks = (0.1 * torch.randn(1, 5 * round(CHUNK * codec.declared.sample_rate))).chunk(5, 1)
    state, decoding = codec.initial_state(1), codec.initial_decode_state(1)
    with torch.inference_mode():
        for chunk in chunks[:-1]:
            codes, state = codec.step(chunk, state)
            _, decoding = codec.decode_step(codes, decoding)
        codes, _ = codec.step(chunks[-1], state)
    return {
        f"live {name} encode": lambda: codec.step(chunks[-1], state),
        f"live {name} decode": lambda: codec.decode_step(codes, decoding),
    }


def peer() -> nn.Module:
    from transformers import MimiConfig, MimiModel

    return MimiModel(MimiConfig(num_quantizers=MIMI["codebooks"])).eval()


def of_mimi(model: Any) -> dict[str, Work]:
    audio = 0.1 * torch.randn(1, 1, round(SECONDS * model.config.sampling_rate))
    with torch.inference_mode():
        codes = model.encode(audio).audio_codes
    return {"mimi encode": lambda: model.encode(audio), "mimi decode": lambda: model.decode(codes)}


def count(model: nn.Module) -> int:
    return sum(tensor.numel() for tensor in model.parameters())


if __name__ == "__main__":
    main()
