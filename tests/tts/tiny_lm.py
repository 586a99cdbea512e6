"""A small speaking model over made-up codes: shared by the tests of layouts, decoding and memory."""

import torch

from stentor_tts.lm.task import SpeakingLM

LINGUISTIC, SEMANTIC = 20, 30
TEXTS = ["turn on the radio", "set an alarm for noon", "stop"]
SECTIONS = {
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
    "codec": {"name": "dual", "linguistic": LINGUISTIC, "semantic": SEMANTIC},
}
ALOUD = {**SECTIONS, "acoustic": {"name": "flow-dit", "dim": 16, "layers": 1, "heads": 2, "hidden": 16}}
EQUAL = {**SECTIONS, "codec": {"name": "rvq", "size": 16, "dim": 32, "layers": 1, "inner": 32, "inner_layers": 1}}


def task(sections=SECTIONS, seed=0, texts=TEXTS, **configured):
    torch.manual_seed(seed)
    configured = {"voices": ["ada", "bruno"], "slowest": 20.0, **configured}
    return SpeakingLM.assemble(sections, texts=texts, **configured).eval()


def codes(task, groups, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pairs = zip(task.spec.codebooks, task.spec.pattern, strict=True)
    return tuple(torch.randint(book.size, (groups * count,), generator=generator) for book, count in pairs)


def batch(task, groups=(9, 11, 4), custom=None):
    """Rows with codes in place of audio."""
    from stentor.data.collate import pad
    from stentor_tts.tokenizer.coding import frames

    rows, lengths = pad([frames(task.spec, codes(task, n, row)) for row, n in enumerate(groups)])
    return {
        "ids": [f"row-{row}" for row in range(len(groups))],
        "texts": TEXTS[: len(groups)],
        "speakers": ["ada", "bruno", "carla"][: len(groups)],
        "custom": custom or [{} for _ in groups],
        "frames": rows,
        "frame_lengths": lengths,
    }
