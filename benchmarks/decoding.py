"""The decoding engine against `generate()` of transformers: the same backbone, token-identical, fp32, one thread.

A Llama of 17 M parameters (8 layers of 384, 8192 ids), prompts of 100 ids, greedy. Contestants are interleaved in one
process; ratios are of medians of processor time. Run with ``python benchmarks/decoding.py [--rounds N]``.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.model.causal_lm import CausalLM

PROMPT = 100
CASES = {  # name: (batch, new tokens, target ratio)
    "first-token/batch-1": (1, 1, 1 / 0.9),
    "greedy/batch-1": (1, 64, 1.3),
    "greedy/batch-16": (16, 64, 1.5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each contestant")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = CausalLM(8192, dim=384, layers=8, heads=6, ffn_dim=1024).eval()
    peer = _peer(ours)
    for name, (batch, tokens, target) in CASES.items():
        ids = torch.randint(1, 8192, (batch, PROMPT))
        _compare(name, target, batch * tokens, arguments.rounds, _ours(ours, ids, tokens), _theirs(peer, ids, tokens))


def _peer(ours: CausalLM) -> Any:
    from transformers import AutoModelForCausalLM

    configuration = copy.deepcopy(ours.decoder.config)
    peer = AutoModelForCausalLM.from_config(configuration, attn_implementation="sdpa").eval()  # type: ignore[no-untyped-call]
    peer.model.load_state_dict(ours.decoder.state_dict())
    peer.tie_weights()
    return peer


def _ours(backbone: CausalLM, ids: Tensor, tokens: int) -> Callable[[], list[list[int]]]:
    settings = GenerationSettings(max_new_tokens=tokens)
    return lambda: generate(backbone, list(ids), settings).tokens


def _theirs(peer: Any, ids: Tensor, tokens: int) -> Callable[[], list[list[int]]]:
    mask = torch.ones_like(ids)
    options = {"max_new_tokens": tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, "use_cache": True}

    def run() -> list[list[int]]:
        return peer.generate(ids, attention_mask=mask, **options)[:, PROMPT:].tolist()

    return run


def _compare(name: str, target: float, tokens: int, rounds: int, *contestants: Callable[[], list[list[int]]]) -> None:
    same = contestants[0]() == contestants[1]()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for contestant, times in zip(contestants, seconds, strict=True):
            start = time.process_time()
            contestant()
            times.append(time.process_time() - start)
    own, other = map(statistics.median, seconds)
    line = {
        "benchmark": f"decoding/{name}",
        "ratio": round(other / own, 3),
        "target": round(target, 3),
        "token_identical": same,
        "tokens_per_second": round(tokens / own, 1),
        "peer_tokens_per_second": round(tokens / other, 1),
        "milliseconds": round(own * 1e3, 1),
        "peer_milliseconds": round(other * 1e3, 1),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
