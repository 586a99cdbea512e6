"""A step of group relative policy optimisation against TRL's: time and memory, the same Llama of 4.7 M and prompt.

One prompt of 32 tokens, a group of 8 responses of up to 64, sampled at temperature 1 from the whole distribution; no
reference; the loss averages over tokens (DAPO) on both sides; AdamW, clipping and logging, too. The reward is the share
of different tokens. Processor time, one thread, contestants interleaved in one process, medians; memory is the growth
of a forked process, model included. The rollout alone is compared with ``generate()`` of transformers. Targets: at
least 1.4 times TRL's steps per second at no more than 0.8 times its growth of memory; rollout at least 1.1 times
``generate()``. Needs TRL (extra ``trl`` of stentor-align). One JSON line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shared import tuning

from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor_align import rollout
from stentor_align.rollout import SamplingSettings

GROUP, PROMPT, RESPONSE = 8, 32, 64


class Distinct(Reward):
    """The share of different tokens in a response."""

    nature = "verifiable"

    def score(self, prompts: Any, responses: Any) -> Scores:
        said = [response["tokens"] for response in responses]
        values = torch.tensor([len(set(tokens)) / len(tokens) for tokens in said])
        return Scores(values, {"share": values})


def distinct(completions: list[str], **_: Any) -> list[float]:
    """The same, as TRL takes it."""
    said = [text.split() for text in completions]
    return [len(set(words)) / max(1, len(words)) for words in said]


def batch() -> dict[str, Any]:
    """One prompt as the loader gives it: three controls and the letters of an instruction."""
    drawn = torch.randint(len(tuning.LETTERS), (PROMPT - 3,), generator=torch.Generator().manual_seed(1)).tolist()
    asked = "".join(tuning.LETTERS[number] for number in drawn)
    return {"ids": ["prompt"], "texts": [""], "speakers": [""], "custom": [{"instruction": asked}]}


def asked_ids(task: Any, given: dict[str, Any]) -> list[int]:
    words = task.policy.vocabulary
    asked = task.policy.text.encode(given["custom"][0]["instruction"])
    return [words.control("begin"), *asked, words.control("given"), words.control("answer")]


def peer(task: Any, given: dict[str, Any], steps: int) -> list[float]:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    prompt = " ".join(f"w{number}" for number in asked_ids(task, given))
    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            **tuning.trainer_options(folder, steps),
            per_device_train_batch_size=GROUP,
            num_generations=GROUP,
            max_completion_length=RESPONSE,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            loss_type="dapo",
        )
        trainer = GRPOTrainer(
            tuning.twin(task),
            distinct,
            args=settings,
            train_dataset=Dataset.from_list([{"prompt": prompt}] * (steps + 2)),
            processing_class=tuning.tokenizer(task),
        )
        return tuning.theirs(trainer)


def ours(run: Path, given: dict[str, Any], steps: int) -> list[float]:
    options: dict[str, Any] = {"samples": GROUP, "reward": {"name": "distinct"}, "average": "token"}
    return tuning.ours(tuning.tuning(run, "grpo", **options), given, steps)


def contestants(run: Path, steps: int) -> dict[str, Callable[[], list[float]]]:
    """Each runs a turn of so many steps; what they share is made here and is nobody's memory."""
    first = tuning.tuning(run, "grpo", samples=GROUP)
    given = batch()
    return {"trl": lambda: peer(first, given, steps), "ours": lambda: ours(run, given, steps)}


def rollouts(run: Path, rounds: int) -> dict[str, float]:
    """Median milliseconds of sampling a group, by us and by transformers."""
    task: Any = tuning.tuning(run, "grpo", samples=GROUP).eval()
    given, model = batch(), tuning.twin(task).eval()
    ids = torch.tensor([asked_ids(task, given)] * GROUP)
    sampled = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": RESPONSE}
    options = {**sampled, "pad_token_id": 0, "eos_token_id": task.policy.vocabulary.control("end")}

    def timed(work: Callable[[], Any]) -> Callable[[], list[float]]:
        def run_once() -> list[float]:
            began = time.process_time()
            work()
            return [time.process_time() - began]

        return run_once

    @torch.no_grad()
    def own() -> Any:
        return rollout.sample(task.policy, task.policy.ask(given), SamplingSettings(), samples=GROUP)

    def generate() -> Any:
        return model.generate(ids, attention_mask=torch.ones_like(ids), **options)

    assert len(own().tokens) == len(generate()) == GROUP
    return tuning.interleaved({"generate": timed(generate), "rollout": timed(own)}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a turn")
    arguments = parser.parse_args()
    tuning.quiet()
    registry().add("reward", "distinct", f"{__name__}:Distinct")
    with tempfile.TemporaryDirectory() as folder:
        small = tuning.policy_run(Path(folder) / "small", dim=16, layers=1, heads=1, ffn_dim=16)
        for work in contestants(small, 1).values():
            work()  # imports are nobody's time and memory
        run = tuning.policy_run(Path(folder) / "run")
        found = contestants(run, arguments.steps)
        growths = {name: tuning.growth(work) for name, work in found.items()}
        medians = tuning.interleaved(found, arguments.rounds)
        alone = rollouts(run, 3 * arguments.rounds)
    tuning.report("grpo/step", "ours", medians, growths, target=1.4)
    ratio = alone["generate"] / alone["rollout"]
    told = {"ratio": round(ratio, 3), "target": 1.1, "passed": ratio >= 1.1}
    told |= {"milliseconds": round(alone["rollout"], 1), "peer_milliseconds": round(alone["generate"], 1)}
    print(json.dumps({"benchmark": "grpo/rollout", **told}), flush=True)


if __name__ == "__main__":
    main()
