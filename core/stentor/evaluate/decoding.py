"""Decodes a set in batches of like length; what fails is recorded and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from stentor.data import audio
from stentor.data.collate import collate
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.journal import Journal, Row
from stentor.evaluate.machine import Stopwatch
from stentor.evaluate.settings import EvaluateSettings

Times = list[list[tuple[str, float, float]]]


class Predictor(Protocol):
    """What can be evaluated: a task, or anything that turns batches of audio into texts."""

    @property
    def sample_rate(self) -> int: ...

    def predict(self, batch: Mapping[str, Any]) -> list[str]: ...

    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> Times | None: ...


class Production(Protocol):
    """What is made of a batch, and what rows say of it."""

    def make(self, batch: Mapping[str, Any]) -> Sequence[Any]:
        """One output per row; this is what the real-time factor times."""

    def told(self, utterance: Utterance, made: Any) -> dict[str, Any]:
        """Fields of the row of an utterance: ``output`` at least, or ``failure``."""

    def there(self, row: Row) -> bool:
        """Whether what an earlier row says was made is still there."""


class Texts:
    """The texts of a predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def make(self, batch: Mapping[str, Any]) -> list[str]:
        return self.predictor.predict(batch)

    def told(self, utterance: Utterance, made: str) -> dict[str, Any]:
        return {"output": made}

    def there(self, row: Row) -> bool:
        return True


def batches(utterances: Sequence[Utterance], settings: EvaluateSettings) -> Iterator[list[Utterance]]:
    """Groups of like length, longest first, within the budget of padded seconds; one utterance at least."""
    group: list[Utterance] = []
    for utterance in sorted(utterances, key=lambda one: (-one.duration, one.id)):
        longest = group[0].duration if group else utterance.duration
        full = len(group) == settings.batch_size or (len(group) + 1) * longest > settings.batch_seconds
        if group and full:
            yield group
            group = []
        group.append(utterance)
    if group:
        yield group


def decode(
    predictor: Predictor,
    utterances: Sequence[Utterance],
    journal: Journal,
    settings: EvaluateSettings,
    device: torch.device,
    *,
    fresh: bool = False,
    production: Production | None = None,
) -> list[Row]:
    """Decode what the journal lacks, or everything when `fresh`.

    Args:
        predictor: the model.
        utterances: the set.
        journal: of the set.
        settings: how to batch.
        device: where the model is.
        fresh: decode everything again.
        production: what is made of a batch; default: the predictor's texts.

    Returns:
        One row per utterance, in the given order. A row with ``unscored`` says why it could not be scored (no audio, no
        transcript); one with ``failure`` says what the model raised, and has an empty output, which is scored.
    """
    make = production or Texts(predictor)
    done = journal.open(fresh=fresh)
    kept = {name for name, row in done.items() if make.there(row)}
    left = [utterance for utterance in utterances if utterance.id not in kept]
    with tqdm(total=len(utterances), initial=len(utterances) - len(left), desc=journal.result.stem, unit="utt") as bar:
        for group in batches(left, settings):
            journal.add(_decode_group(make, predictor.sample_rate, group, device))
            bar.update(len(group))
    return [journal.rows[utterance.id] for utterance in utterances]


def read(utterance: Utterance, rate: int) -> Tensor:
    """Waveform float32 [N] of an utterance at `rate` Hz; nothing of text alone."""
    if not utterance.audio:
        return torch.zeros(0)
    wave = audio.read(utterance.audio, rate, utterance.start, utterance.duration, utterance.channel)
    return torch.from_numpy(wave)


def batch_of(utterances: Sequence[Utterance], waves: Sequence[Tensor], device: torch.device) -> dict[str, Any]:
    """The batch that a predictor takes, its tensors on `device`."""
    batch = collate(utterances, waves)
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


def _decode_group(make: Production, rate: int, group: Sequence[Utterance], device: torch.device) -> list[Row]:
    readable, waves, rows = [], [], []
    for utterance in group:
        if utterance.text is None:
            rows.append(_unscored(utterance, "there is no transcript to compare with"))
            continue
        try:
            waves.append(read(utterance, rate))
            readable.append(utterance)
        except StentorError as error:
            rows.append(_unscored(utterance, str(error)))
    if readable:
        rows += _predict(make, readable, waves, device)
    return rows


def _predict(
    make: Production, utterances: Sequence[Utterance], waves: Sequence[Tensor], device: torch.device
) -> list[Row]:
    """Rows of a batch; when the batch fails, its utterances are tried one by one, to find the one at fault."""
    watch = Stopwatch(device)
    batch = batch_of(utterances, waves, device)
    try:
        with watch:
            outputs = make.make(batch)
    except Exception as cause:  # whatever a model raises on one utterance must not cost the others
        if len(utterances) > 1:
            pairs = zip(utterances, waves, strict=True)
            return [row for one, wave in pairs for row in _predict(make, [one], [wave], device)]
        told = {"output": "", "failure": f"{type(cause).__name__}: {cause}"}
        return [_row(utterances[0], watch.processor, watch.wall, told)]
    if len(outputs) != len(utterances):
        raise StentorError(f"the model gave {len(outputs)} outputs for a batch of {len(utterances)} utterances.")
    total = sum(utterance.duration for utterance in utterances)
    shares = [utterance.duration / total for utterance in utterances]
    return [
        _row(utterance, watch.processor * share, watch.wall * share, make.told(utterance, output))
        for utterance, output, share in zip(utterances, outputs, shares, strict=True)
    ]


def _unscored(utterance: Utterance, reason: str) -> Row:
    return _row(utterance, 0.0, 0.0, {"output": "", "unscored": reason})


def _row(utterance: Utterance, processor: float, wall: float, told: Mapping[str, Any]) -> Row:
    synthetic = {"synthetic": True} if utterance.custom.get("synthetic") else {}
    return {
        "id": utterance.id,
        "speaker": utterance.speaker or "",
        "duration": utterance.duration,
        "reference": utterance.text or "",
        "output": "",
        "seconds": processor,
        "wall_seconds": wall,
        "audio": utterance.audio,
        "start": utterance.start,
        **synthetic,
        **told,
    }
