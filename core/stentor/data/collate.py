"""From utterances and what was read of them to the batches that tasks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stentor.data.utterance import Utterance


def collate(
    utterances: Sequence[Utterance], audio: Sequence[Tensor] | None = None, frames: Sequence[Tensor] | None = None
) -> dict[str, Any]:
    """One batch.

    Args:
        utterances: its rows.
        audio: waveforms float [N_i].
        frames: encoder frames [T_i, D].

    Returns:
        ``ids``, ``texts``, ``speakers`` (list[str]), ``custom`` (list of the rows' further fields), ``seconds``
        (float, s of speech), and what there is of ``audio`` [B, N] with ``audio_lengths`` [B] and ``frames`` [B, T, D]
        with ``frame_lengths`` [B]; zero-padded.
    """
    batch: dict[str, Any] = {
        "ids": [utterance.id for utterance in utterances],
        "texts": [utterance.text or "" for utterance in utterances],
        "speakers": [utterance.speaker or "" for utterance in utterances],
        "custom": [dict(utterance.custom) for utterance in utterances],
        "seconds": sum(utterance.duration for utterance in utterances),
    }
    if audio is not None:
        batch["audio"], batch["audio_lengths"] = pad(audio)
    if frames is not None:
        batch["frames"], batch["frame_lengths"] = pad(frames)
    return batch


def pad(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows [N_i, ...] as one float32 tensor [B, max N_i, ...], zero-padded, and their lengths int64 [B]."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    longest = int(lengths.max()) if len(rows) else 0
    padded = torch.zeros(len(rows), longest, *(rows[0].shape[1:] if len(rows) else ()))
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded, lengths
