"""A small text policy and batches for it: what the tests of alignment share."""

from __future__ import annotations

import torch

from stentor.train.assembly import assemble

CONFIG = {
    "task": {"name": "text-lm", "longest": 8},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
}
TEXTS = ["abcdef", "say end"]


def policy(seed=0, **changes):
    """A ``text-lm`` task with weights that say something, in evaluation mode."""
    torch.manual_seed(seed)
    config = {**CONFIG, **changes}
    task = assemble(config, texts=TEXTS).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return task


def batch(*given, **custom):
    """Rows that ask to say `given`; `custom` are fields of all of them."""
    return {
        "ids": [f"row-{number}" for number in range(len(given))],
        "texts": list(given),
        "speakers": [""] * len(given),
        "custom": [{"instruction": "say", "given": text, **custom} for text in given],
        "seconds": float(len(given)),
    }
