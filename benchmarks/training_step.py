"""A training step of a 13M audio-LM: our loop against one written by hand.

Whisper-type encoder of 4 layers of 256, an adapter of stride 4 and a Llama of 8 layers of 256, built from transformers'
parts; a batch of 4 x (5 s of audio + 64 tokens) = 504 positions; forward, backward, clipping, AdamW. Both loops use the
same model, batch and optimiser. Processor time, one thread, contestants interleaved, medians. One JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from stentor.interfaces.task import Loss, Task
from stentor.train.after_step import AfterStep
from stentor.train.module import Training
from stentor.train.settings import TrainSettings
from stentor.train.tracking import Lines
from stentor.train.trainer import trainer_for
from stentor.train.validation import Validation
from stentor.train.weights import take_stock

WIDTH, VOCABULARY, ROWS, TOKENS, MEL_FRAMES, STRIDE = 256, 4096, 4, 64, 500, 4


class AudioLM(Task):
    """Encoder, adapter and causal language model; next-token loss on the text."""

    roles = {}
    metrics = ()

    def __init__(self) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(
            WhisperConfig(
                d_model=WIDTH,
                encoder_layers=4,
                encoder_attention_heads=4,
                encoder_ffn_dim=4 * WIDTH,
                max_source_positions=MEL_FRAMES // 2,
                num_mel_bins=80,
            )
        )
        self.adapter = nn.Linear(STRIDE * WIDTH, WIDTH)
        self.backbone = LlamaModel(
            LlamaConfig(
                hidden_size=WIDTH,
                num_hidden_layers=8,
                num_attention_heads=4,
                intermediate_size=4 * WIDTH,
                vocab_size=VOCABULARY,
            )
        )

    @classmethod
    def assemble(cls, sections: Any, **_: Any) -> AudioLM:
        return cls()

    @property
    def sample_rate(self) -> int:
        return 16000

    def training_loss(self, batch: Any) -> Loss:
        frames = self.encoder(batch["audio"]).last_hidden_state
        whole = frames.shape[1] // STRIDE * STRIDE
        heard = self.adapter(frames[:, :whole].unflatten(1, (-1, STRIDE)).flatten(2))
        table = self.backbone.embed_tokens
        inputs = torch.cat([heard, table(batch["tokens"])], dim=1)
        hidden = self.backbone(inputs_embeds=inputs, use_cache=False).last_hidden_state
        logits = hidden[:, heard.shape[1] - 1 : -1] @ table.weight.T
        return Loss(functional.cross_entropy(logits.flatten(0, 1), batch["tokens"].flatten()), ROWS * TOKENS)

    def predict(self, batch: Any) -> list[str]:
        return []


class Source:
    """The same batch `steps` times; notes the processor time at which each is asked for."""

    valid = ()

    def __init__(self, steps: int) -> None:
        torch.manual_seed(1)
        self.steps, self.times = steps, []
        self.batch: dict[str, Any] = {
            "ids": ["a", "b", "c", "d"],
            "audio": torch.randn(ROWS, 80, MEL_FRAMES),
            "tokens": torch.randint(VOCABULARY, (ROWS, TOKENS)),
            "seconds": 20.0,
            "next": {"epoch": 0, "position": 0},
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.steps):
            self.times.append(time.process_time())
            yield self.batch

    def prepare(self) -> None:
        """Nothing."""

    def training(self, at: dict[str, int], *, rank: int, world: int) -> Source:
        return self


def by_hand(source: Source, task: AudioLM) -> Tensor:
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-4, fused=True)
    task.train()
    for batch in source:
        loss = task.training_loss(batch).value
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimiser.step()
    return loss.detach()


def ours(source: Source, task: AudioLM) -> None:
    settings = TrainSettings(steps=source.steps, checkpoint_every=0, log_every=1, accelerator="cpu", lr=1e-4)
    with tempfile.TemporaryDirectory() as folder:
        lines = Lines(Path(folder) / "metrics.jsonl")
        stock = take_stock(task, ())
        after = AfterStep(Path(folder), settings, stock, [lines], Validation(source, 0, ()), progress=False)
        trainer_for(settings).fit(Training(task, settings, source, after))
        after.close()
        lines.close("done")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=5, help="steps of a turn; the first and the last are not timed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    spent: dict[str, list[float]] = {"by_hand": [], "ours": []}
    for _ in range(arguments.rounds):
        for work in (by_hand, ours):
            torch.manual_seed(0)
            task, source = AudioLM(), Source(arguments.steps + 1)
            work(source, task)
            spent[work.__name__] += [b - a for a, b in zip(source.times[1:-2], source.times[2:-1], strict=True)]
    medians = {name: 1000 * statistics.median(found) for name, found in spent.items()}
    ratio = medians["by_hand"] / medians["ours"]
    told = {
        "benchmark": "training_step",
        "ratio": round(ratio, 3),
        "target": ">= 0.98 of the speed of a hand-written loop",
        "passed": ratio >= 0.98,
        "milliseconds_per_step": {name: round(found, 1) for name, found in medians.items()},
        "parameters": sum(parameter.numel() for parameter in task.parameters()),
        "timed_steps": len(spent["ours"]),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
