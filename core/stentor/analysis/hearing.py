"""What an adapter says, recorded and changed from outside, in any task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.decoding import batch_of, batches, read
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.adapter import Adapter
from stentor.interfaces.task import Task

Change = Callable[[Tensor, Tensor], Tensor]
"""Outputs [B, T, D] and voice prints [B, P] to other outputs [B, T, D]."""
Batch = Mapping[str, Any]


@dataclass
class Heard:
    """What an adapter said: outputs [T_i, D] and voice print [P] of every utterance, and its ids and speakers."""

    outputs: list[Tensor] = field(default_factory=list)
    prints: list[Tensor] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)


def adapter_of(task: Task, name: str = "") -> tuple[str, Adapter]:
    """The adapter of a task, or the one called `name` where there are several.

    Raises:
        StentorError: when there is none, or several and none is named.
    """
    found = {key: module for key, module in task.named_modules() if isinstance(module, Adapter)}
    if not found:
        raise StentorError("the run's task has no adapter to analyse.")
    chosen = name or (next(iter(found)) if len(found) == 1 else "")
    if chosen not in found:
        raise StentorError("name one of the run's adapters.", path="--adapter", value=name, options=sorted(found))
    return chosen, found[chosen]


@torch.inference_mode()
def prepared(task: Task, rows: Sequence[Utterance], settings: EvaluateSettings) -> list[dict[str, Any]]:
    """Batches of `rows`; where the task's encoder is frozen, it runs here once and not again."""
    encoder, found = task.cached_encoder(), []
    for group in batches(rows, settings):
        waves = [read(utterance, task.sample_rate) for utterance in group]
        batch = batch_of(group, waves, next(task.parameters()).device)
        if encoder is not None:
            frames, lengths = encoder(batch.pop("audio"), batch.pop("audio_lengths"))
            batch |= {"frames": frames, "frame_lengths": lengths}
        found.append(batch)
    return found


def voice_prints(frames: Tensor, lengths: Tensor) -> Tensor:
    """Mean and standard deviation over time [B, 2 E] of frames [B, T, E]: they tell voices apart, and hardly words."""
    valid = (torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None])[..., None]
    count = lengths[:, None].clamp(min=1)
    mean = (frames * valid).sum(1) / count
    spread = (((frames - mean[:, None]) * valid) ** 2).sum(1) / count
    return torch.cat([mean, spread.sqrt()], -1).float()


@contextmanager
def changed(adapter: Adapter, change: Change) -> Iterator[None]:
    """While open, everything behind `adapter` hears its outputs as `change` makes them."""

    def hook(module: Any, given: tuple[Tensor, Tensor], said: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return change(said[0], voice_prints(*given)), said[1]

    handle = adapter.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.inference_mode()
def listen(task: Task, adapter: Adapter, given: Sequence[Batch]) -> Heard:
    """What `adapter` says of all batches."""
    heard = Heard()

    def hook(module: Any, taken: tuple[Tensor, Tensor], said: tuple[Tensor, Tensor]) -> None:
        rows, lengths = said
        heard.outputs += [row[:n].float().cpu() for row, n in zip(rows, lengths.tolist(), strict=True)]
        heard.prints += list(voice_prints(*taken).cpu())

    handle = adapter.register_forward_hook(hook)
    try:
        for batch in given:
            task.training_loss(batch)
            heard.speakers += batch["speakers"]
    finally:
        handle.remove()
    return heard
