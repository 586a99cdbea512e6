"""The subspace that an adapter speaks in: how few directions carry the words, and what the others have room for.

After arXiv 2406.13357, which finds a sparse linear subspace in a one-layer alignment. Every figure stands beside its
baseline: spectra beside those of an untrained adapter, the strongest directions beside random ones, the classifier of
speakers beside the same without the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from stentor.analysis import hearing, speaker, spectrum
from stentor.analysis.hearing import Batch, Change
from stentor.analysis.spectrum import Directions
from stentor.config import Recipe
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate import significance
from stentor.evaluate.scoring import build_metrics, scale
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.adapter import Adapter
from stentor.interfaces.metric import Metric
from stentor.interfaces.task import Task
from stentor.train import randomness
from stentor.train.assembly import assemble

_WIDTH = 16
"""Dimensions of the speaker vector, where so many are free."""


@dataclass(frozen=True)
class SubspaceSettings:
    """How to analyse.

    Attributes:
        adapter: its name in the task; empty where there is one only.
        keep: how many directions are kept, in turn; empty: 1/32, 1/16 ... 3/4 of them.
        free: how many directions count as used in the test of the free ones; 0: a quarter.
        random: how many random choices of directions stand beside each.
        strength: length of the speaker vector, over the RMS of the centred outputs.
        seed: of random directions and baselines.
    """

    adapter: str = ""
    keep: tuple[int, ...] = ()
    free: int = 0
    random: int = 2
    strength: float = 0.25
    seed: int = 0


def analyse(
    recipe: Recipe,
    task: Task,
    fit: Sequence[Utterance],
    sets: Mapping[str, Sequence[Utterance]],
    settings: SubspaceSettings | None = None,
) -> dict[str, Any]:
    """Analyse the adapter of a trained task.

    Args:
        recipe: of the run: how to build an untrained adapter, and how to score.
        task: trained, in evaluation mode.
        fit: utterances that directions and the classifier of speakers are found on; training data.
        sets: name -> utterances to score on, none of them in `fit`.
        settings: how.

    Raises:
        StentorError: when the task has no adapter, or `keep` or `free` asks for more directions than there are.
    """
    settings = settings or SubspaceSettings()
    scoring: EvaluateSettings = recipe.settings("evaluate")
    name, adapter = hearing.adapter_of(task, settings.adapter)
    given = hearing.prepared(task, fit, scoring)
    heard = hearing.listen(task, adapter, given)
    found = spectrum.directions(torch.cat(heard.outputs))
    fresh = _untrained(recipe, task, name, settings.seed)
    dim = len(found.mean)
    free = settings.free or max(1, dim // 4)
    keep = settings.keep or tuple(sorted({max(1, round(dim * part)) for part in _PARTS}))
    if max(keep) > dim:
        raise StentorError(f"the outputs have {dim} directions only.", path="--keep", value=list(keep))
    if free >= dim:
        told = f"the outputs have {dim} directions only, and one at least must be free."
        raise StentorError(told, path="--free", value=free)
    part = _speaker_part(heard, min(_WIDTH, dim - free), settings.seed)
    metric = next(iter(build_metrics(scoring.metrics or task.metrics, scoring.normaliser).items()))
    probe = _Probe(task, adapter, found, metric, scoring)
    scored = {}
    for label, rows in sets.items():
        batches = hearing.prepared(task, rows, scoring)
        scored[label] = probe.truncation(batches, keep, settings, label) | probe.free(batches, part, free, settings)
    return {
        "adapter": {"name": name, "class": type(adapter).__name__, "parameters": _count(adapter), "dim": dim},
        "weights": {key: {"trained": spectrum.of_matrix(weight).as_dict(), "untrained": spectrum.of_matrix(
            dict(fresh.named_parameters())[key]).as_dict()} for key, weight in _matrices(adapter)},
        "outputs": {"trained": found.spectrum.as_dict(), "positions": sum(map(len, heard.outputs)),
                    "untrained": _spectrum_with(task, adapter, fresh, given).as_dict()},
        "metric": metric[0],
        "sets": scored,
    }  # fmt: skip


_PARTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)


class _Probe:
    """Scores a task whose adapter's outputs are changed."""

    def __init__(
        self, task: Task, adapter: Adapter, found: Directions, metric: tuple[str, Metric], scoring: EvaluateSettings
    ) -> None:
        self.task, self.adapter, self.found, self.scoring = task, adapter, found, scoring
        self.metric = metric[1]

    def truncation(
        self, batches: Sequence[Batch], keep: Sequence[int], settings: SubspaceSettings, label: str
    ) -> dict[str, Any]:
        """Errors with the strongest k directions kept and the others at their mean, and with k random ones."""
        full = self._counts(batches, None)
        rows = []
        for k in tqdm(keep, desc=label, unit="k"):
            bases = {"strongest": self.found.basis[:, :k]}
            dim = len(self.found.mean)
            seeds = range(settings.seed, settings.seed + settings.random)
            bases |= {f"random {seed}": spectrum.random_basis(dim, k, seed) for seed in seeds}
            for kind, basis in bases.items():
                told = self._told(self._counts(batches, self._keeping(basis)), full)
                rows.append({"k": k, "directions": kind, **told})
        return {"utterances": len(full), "full": self._told(full), "truncation": rows}

    def free(
        self, batches: Sequence[Batch], part: speaker.SpeakerPart | None, used: int, settings: SubspaceSettings
    ) -> dict[str, Any]:
        """Errors and speaker accuracy with and without a speaker vector in the directions beyond the first `used`."""
        speakers = [name for batch in batches for name in batch["speakers"]]
        if part is None or not set(speakers) <= set(part.speakers) or len(set(speakers)) < 2:
            return {"free": {"skipped": "it needs two or more speakers, all of them in the training data"}}
        width = part.vector.out_features
        kept, room = self.found.basis[:, :used], self.found.basis[:, used : used + width]
        length = settings.strength * self.found.spread

        def add(outputs: Tensor, prints: Tensor) -> Tensor:
            vector = length * part(prints) @ room.to(outputs).mT
            return self._keeping(kept)(outputs, prints) + vector[:, None]

        without, added = self._counts(batches, self._keeping(kept)), self._counts(batches, add)
        return {"free": {
            "used": used, "width": width, "strength": settings.strength, "speakers": len(set(speakers)),
            "chance": 100 * max(map(speakers.count, speakers)) / len(speakers),
            "accuracy_without": part.accuracy(self._seen(batches, self._keeping(kept), room), speakers),
            "accuracy_with": part.accuracy(self._seen(batches, add, room) / length, speakers),
            "without": self._told(without), "with": self._told(added, without),
        }}  # fmt: skip

    def _keeping(self, basis: Tensor) -> Change:
        def change(outputs: Tensor, prints: Tensor) -> Tensor:
            mean, kept = self.found.mean.to(outputs), basis.to(outputs)
            return mean + (outputs - mean) @ kept @ kept.mT

        return change

    @torch.no_grad()
    def _seen(self, batches: Sequence[Batch], change: Change, room: Tensor) -> Tensor:
        """Coordinates [N, m] in `room` of the changed outputs, averaged over each utterance."""
        with hearing.changed(self.adapter, change):
            heard = hearing.listen(self.task, self.adapter, batches)
        return torch.stack([(row.mean(0) - self.found.mean) @ room for row in heard.outputs])

    def _counts(self, batches: Sequence[Batch], change: Change | None) -> list[tuple[float, float]]:
        outputs: list[str] = []
        with hearing.changed(self.adapter, change) if change else nullcontext():
            for batch in batches:
                outputs += self.task.predict(batch)
        return self.metric.counts([text for batch in batches for text in batch["texts"]], outputs)

    def _told(
        self, counts: significance.Counts, against: significance.Counts | None = None
    ) -> dict[str, float | list[float] | None]:
        """The error with its interval, and its change in per cent of the error of `against`, paired."""
        kept = {"resamples": self.scoring.bootstrap, "confidence": self.scoring.confidence}
        unit = scale(self.metric)
        own = significance.bootstrap(counts, **kept)  # type: ignore[arg-type]
        told: dict[str, Any] = {"value": unit * own.value, "interval": [unit * own.low, unit * own.high]}
        if against is not None and significance.ratio(against) > 0:
            base, moved = significance.ratio(against), significance.compare(against, counts, **kept)  # type: ignore[arg-type]
            told["change"] = 100 * moved.difference / base
            told["change_interval"] = [100 * moved.low / base, 100 * moved.high / base]
        return told


def _speaker_part(heard: hearing.Heard, width: int, seed: int) -> speaker.SpeakerPart | None:
    if len(set(heard.speakers)) < 2:
        return None
    return speaker.train(torch.stack(heard.prints), heard.speakers, width, seed)


def _untrained(recipe: Recipe, task: Task, name: str, seed: int) -> Adapter:
    """The adapter as it is before training."""
    with torch.random.fork_rng(devices=[]):
        randomness.seed_all(seed)
        return hearing.adapter_of(assemble(recipe.config, state=task.state()), name)[1].eval()


def _spectrum_with(task: Task, adapter: Adapter, other: Adapter, given: Sequence[Batch]) -> spectrum.Spectrum:
    """Spectrum of what `other` would say in the place of `adapter`."""
    kept = {key: value.clone() for key, value in adapter.state_dict().items()}
    adapter.load_state_dict(other.state_dict())
    try:
        return spectrum.directions(torch.cat(hearing.listen(task, adapter, given).outputs)).spectrum
    finally:
        adapter.load_state_dict(kept)


def _matrices(adapter: Adapter) -> list[tuple[str, Tensor]]:
    return [(name, weight) for name, weight in adapter.named_parameters() if weight.ndim >= 2]


def _count(adapter: Adapter) -> int:
    return sum(parameter.numel() for parameter in adapter.parameters())
