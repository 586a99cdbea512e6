"""A step of direct preference optimisation against TRL's: time and memory, the same Llama of 4.7 M, the same pairs.

Four pairs of 32 + 64 tokens, a frozen reference, AdamW, clipping and logging on both sides. Processor time, one thread,
contestants interleaved in one process, medians; memory is the growth of a forked process, model included. Our steps
with log-probabilities of the reference taken from the manifest are compared with the same steps of TRL. Targets: at
least 1.15 times TRL's steps per second (1.4 from the manifest), at most 0.8 times its growth of memory. Needs TRL
(extra ``trl`` of stentor-align). One JSON line each.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shared import tuning

PAIRS, PROMPT, RESPONSE = 4, 32, 64


def batch(task: Any) -> dict[str, Any]:
    """Pairs as the loader gives them; a prompt is three controls and the letters of its instruction."""
    generator = torch.Generator().manual_seed(1)
    end = task.policy.vocabulary.control("end")

    def letters(count: int) -> list[int]:
        return torch.randint(1, len(tuning.LETTERS), (count,), generator=generator).tolist()

    rows = []
    for _ in range(PAIRS):
        asked = "".join(tuning.LETTERS[number - 1] for number in letters(PROMPT - 3))
        said = [{"tokens": [*letters(RESPONSE - 1), end]} for _ in range(2)]
        rows.append({"instruction": asked, "chosen": said[0], "rejected": said[1]})
    ids = [f"pair-{number}" for number in range(PAIRS)]
    return {"ids": ids, "texts": [""] * PAIRS, "speakers": [""] * PAIRS, "custom": rows}


def written(task: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The same with the reference's log-probabilities in the rows."""
    from stentor_align.preferences.sampling import _with_log_probs

    rows = []
    for row in given["custom"]:
        single = {"ids": ["a"], "texts": [""], "speakers": [""], "custom": [row]}
        with torch.no_grad():
            rows.append(_with_log_probs(task.policy, single, dict(row), task.told["sha256"]))
    return {**given, "custom": rows}


def dataset(task: Any, given: dict[str, Any]) -> Any:
    """The pairs as words for TRL, which makes the same ids of them."""
    from datasets import Dataset

    words = task.policy.vocabulary
    lines = []
    for row in given["custom"]:
        asked = [words.control("begin"), *task.policy.text.encode(row["instruction"]), words.control("given"),
                 words.control("answer")]  # fmt: skip
        line = {"prompt": _words(asked)}
        lines.append(line | {name: " " + _words(row[name]["tokens"]) for name in ("chosen", "rejected")})
    return Dataset.from_list(lines)


def _words(ids: list[int]) -> str:
    return " ".join(f"w{number}" for number in ids)


def peer(task: Any, given: dict[str, Any], steps: int) -> list[float]:
    from trl import DPOConfig, DPOTrainer

    with tempfile.TemporaryDirectory() as folder:
        settings = DPOConfig(**tuning.trainer_options(folder, steps), per_device_train_batch_size=PAIRS, beta=0.1,
                             max_length=None)  # fmt: skip
        trainer = DPOTrainer(tuning.twin(task), tuning.twin(task), args=settings, train_dataset=dataset(task, given),
                             processing_class=tuning.tokenizer(task))  # fmt: skip
        ids = next(iter(trainer.get_train_dataloader()))["input_ids"]
        assert ids.shape == (2 * PAIRS, PROMPT + RESPONSE), ids.shape
        return tuning.theirs(trainer)


def contestants(run: Path, steps: int) -> dict[str, Callable[[], list[float]]]:
    """Each runs a turn of so many steps; what they share is made here and is nobody's memory."""
    first = tuning.tuning(run, "dpo")
    plain = batch(first)
    scored = written(first, plain)
    return {
        "trl": lambda: peer(first, plain, steps),
        "frozen": lambda: tuning.ours(tuning.tuning(run, "dpo"), plain, steps),
        "manifest": lambda: tuning.ours(tuning.tuning(run, "dpo", reference="manifest"), scored, steps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a turn")
    arguments = parser.parse_args()
    tuning.quiet()
    with tempfile.TemporaryDirectory() as folder:
        small = tuning.policy_run(Path(folder) / "small", dim=16, layers=1, heads=1, ffn_dim=16)
        for work in contestants(small, 1).values():
            work()  # imports are nobody's time and memory
        found = contestants(tuning.policy_run(Path(folder) / "run"), arguments.steps)
        growths = {name: tuning.growth(work) for name, work in found.items()}
        medians = tuning.interleaved(found, arguments.rounds)
    for name, target in (("frozen", 1.15), ("manifest", 1.4)):
        tuning.report(f"dpo/{name}", name, medians, growths, target=target)


if __name__ == "__main__":
    main()
