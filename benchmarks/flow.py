"""What flow matching costs: the next chunk of a stream, and whole utterances one by one, on one thread.

Random weights: speed only. `chunk` is one chunk of 0.36 s in the middle of a stream, guidance and all Euler steps
included; `first` is the same at the beginning, with the reference heard for the first time; `whole` is an utterance of
4.8 s. Medians of processor time, contestants interleaved. Target, written before the first run: a chunk of `flow-dit`
as it comes takes at most 150 ms, less than half of the time that it lasts. One JSON line.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable

import torch

from stentor.interfaces.codec import CodecSpec, Codes
from stentor.interfaces.tokenizer import Codebook
from stentor.train.assembly import build
from stentor_tts.interfaces import Acoustic, Reference
from stentor_tts.mel import BINS

SPEC = CodecSpec(16000, (Codebook("linguistic", 1024, 50 / 3), Codebook("semantic", 1024, 25.0)), (2, 3), 1920)
GROUPS, CHUNK, SECONDS, ROUNDS, REPEATS = 40, 3, 0.12, 6, 5
TARGET_MS = 150.0
Work = Callable[[], object]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models: dict[str, Acoustic] = {name: build("acoustic", {"name": name}, SPEC) for name in ("flow-dit", "flow-unet")}
    works = {f"{name} {what}": work for name, model in models.items() for what, work in works_of(model.eval()).items()}
    medians = interleaved(works)
    chunk = 1000 * medians["flow-dit chunk"]
    result = {
        "benchmark": "flow",
        "parameters": {name: sum(value.numel() for value in model.parameters()) for name, model in models.items()},
        "ms": {name: round(1000 * value, 1) for name, value in medians.items()},
        "times_real_time": {
            name: round((GROUPS if name.endswith("whole") else CHUNK) * SECONDS / value, 1)
            for name, value in medians.items()
        },
        "targets": {"flow-dit chunk ms": TARGET_MS},
        "met": {"flow-dit chunk ms": chunk <= TARGET_MS and chunk < 1000 * CHUNK * SECONDS / 2},
    }
    print(json.dumps(result))


def works_of(model: Acoustic) -> dict[str, Work]:
    """A first chunk, a later one, and a whole utterance, with a reference of 3 s."""
    reference = Reference(torch.randn(300, BINS) - 5, codes(25))
    _, begun = model.step(codes(GROUPS), model.initial_state(reference))

    def first() -> object:
        return model.step(codes(CHUNK + 1), model.initial_state(reference))

    return {
        "first": first,
        "chunk": lambda: model.step(codes(CHUNK), begun),
        "whole": lambda: model.generate([codes(GROUPS)], [reference]),
    }


def codes(groups: int) -> Codes:
    """Random codes of so many groups."""
    pairs = zip(SPEC.codebooks, SPEC.pattern, strict=True)
    return tuple(torch.randint(book.size, (groups * n,)) for book, n in pairs)


def interleaved(works: dict[str, Work]) -> dict[str, float]:
    """Median processor time of each (s)."""
    found: dict[str, list[float]] = {name: [] for name in works}
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            for name, work in works.items():
                for _ in range(1 if name.endswith("whole") else REPEATS):
                    began = time.process_time()
                    work()
                    if number:  # the first round warms up
                        found[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in found.items()}


if __name__ == "__main__":
    main()
