"""Packed against padded training steps: useful tokens per second of processor time, on one thread.

A Llama of 8 layers of 256 on 16 sequences of 12 to 300 tokens. Contestants are interleaved in one process; every figure
is a ratio of medians. Run with ``python benchmarks/packing.py [--rounds N]``.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from stentor.model.causal_lm import CausalLM

VOCABULARY = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed steps of each contestant")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sequences = [torch.randint(0, VOCABULARY, (n,)) for n in _lengths()]
    contestants = _contestants(sequences)
    losses = {name: step() for name, step in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, step in contestants.items():
            start = time.process_time()
            step()
            seconds[name].append(time.process_time() - start)
    _report(sequences, losses, {name: statistics.median(values) for name, values in seconds.items()})


def _lengths() -> list[int]:
    return torch.linspace(12, 300, 16).round().int().tolist()


def _contestants(sequences: list[Tensor]) -> dict[str, Callable[[], float]]:
    from transformers import AutoModelForCausalLM

    ours = CausalLM(VOCABULARY, dim=256, layers=8, heads=4, kv_heads=4, ffn_dim=1024)
    configuration = copy.deepcopy(ours.decoder.config)
    peer = AutoModelForCausalLM.from_config(configuration, attn_implementation="sdpa")  # type: ignore[no-untyped-call]
    peer.model.load_state_dict(ours.decoder.state_dict())
    peer.tie_weights()
    lengths = [len(sequence) for sequence in sequences]
    row = torch.cat(sequences)
    targets = torch.cat([functional.pad(sequence[1:], (0, 1), value=-100) for sequence in sequences])
    padded = pad_sequence(sequences, batch_first=True)
    labels = pad_sequence(sequences, batch_first=True, padding_value=-100)
    mask = (labels >= 0).long()
    restarts = torch.cat([torch.arange(n) for n in lengths])[None]
    row_labels = torch.cat([functional.pad(sequence[1:], (1, 0), value=-100) for sequence in sequences])[None]
    places = (targets >= 0).nonzero().squeeze(1)

    def packed() -> Tensor:
        hidden = ours(ours.embed(row)[None], packed=lengths)[0]
        return functional.cross_entropy(ours.project(hidden[places]), targets[places])

    return {
        "packed": _step(packed, ours),
        "padded": _step(lambda: peer(input_ids=padded, attention_mask=mask, labels=labels).loss, peer),
        "position_ids": _step(lambda: peer(input_ids=row[None], position_ids=restarts, labels=row_labels).loss, peer),
    }


def _step(loss: Callable[[], Tensor], model: torch.nn.Module) -> Callable[[], float]:
    def run() -> float:
        model.zero_grad(set_to_none=True)
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    return run


def _report(sequences: list[Tensor], losses: dict[str, float], seconds: dict[str, float]) -> None:
    useful = sum(map(len, sequences))
    padding = 1 - useful / (len(sequences) * max(map(len, sequences)))
    for peer in ("padded", "position_ids"):
        line = {
            "benchmark": f"packing/{peer}",
            "ratio": round(seconds[peer] / seconds["packed"], 3),
            "target": {"padded": 1.8, "position_ids": 1.15}[peer],
            "tokens_per_second": round(useful / seconds["packed"], 1),
            "peer_tokens_per_second": round(useful / seconds[peer], 1),
            "loss_difference": abs(losses["packed"] - losses[peer]),
            "padding": round(padding, 3),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
