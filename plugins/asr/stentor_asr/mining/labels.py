"""Labelled utterances of the domain: what the recogniser makes of them, compared with their references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from stentor.data import manifest
from stentor.data.collate import collate
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.mining import hearing, pool
from stentor_asr.mining.rankers import Labelled

if TYPE_CHECKING:
    from stentor.interfaces.task import Task

_FEWEST = 10


def read(path: Path, task: Task, report: pool.Report, normaliser: str = "english") -> list[Labelled]:
    """Every utterance of a labelled manifest with its label; what cannot be read goes to `report`.

    Args:
        path: the manifest.
        task: a recogniser in evaluation mode.
        report: gets what cannot be read, with the reason.
        normaliser: what counts as the same word.

    Raises:
        StentorError: when fewer than ten have a transcript and can be read.
    """
    rows = [row for row in manifest.load(path, report=report) if row.text]
    heard = {one.clip.id: one for one in hearing.heard(task, [pool.stripped(row) for row in rows], report)}
    rows = [row for row in rows if row.id in heard]
    if len(rows) < _FEWEST:
        told = f"only {len(rows)} of its utterances have a transcript and can be read"
        raise StentorError(f"{told}; a ranker that learns needs {_FEWEST} at least, better 200.", path=str(path))
    metric = registry().build("metric", "wer", normaliser=normaliser)
    counts = metric.counts([row.text or "" for row in rows], [heard[row.id].bag.hypothesis for row in rows])
    losses = _losses(task, rows)
    return [
        Labelled(heard[row.id].bag, errors, words, loss)
        for row, (errors, words), loss in zip(rows, counts, losses, strict=True)
    ]


@torch.inference_mode()
def _losses(task: Task, rows: Sequence[Utterance]) -> list[float]:
    """The task's own loss on each reference, one utterance at a time as a batch has one loss."""
    device = next(task.parameters()).device
    losses = []
    for row in rows:
        batch = collate([row], [hearing.wave(pool.stripped(row), task.sample_rate)])
        batch |= {key: batch[key].to(device) for key in ("audio", "audio_lengths")}
        losses.append(float(task.training_loss(batch).value))
    return losses
