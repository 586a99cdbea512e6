"""Evaluates a model on named sets and writes ``evaluation/SET.json`` for each."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from stentor import __version__
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate import breakdown, machine
from stentor.evaluate.audio_scoring import against_truth, check_metrics, load_judges, score_truth, tells
from stentor.evaluate.decoding import Predictor, Production, Texts, batch_of, decode, read
from stentor.evaluate.journal import Journal, Row
from stentor.evaluate.scoring import build_metrics, scale, score, shown
from stentor.evaluate.settings import EvaluateSettings
from stentor.evaluate.speaking import Speech, speaks, spoken
from stentor.interfaces.metric import AudioMetric, Metric
from stentor.interfaces.task import Task
from stentor.model.device import choose_device
from stentor.plugins import registry

Result = dict[str, Any]


@dataclass
class Subject:
    """What is evaluated.

    Attributes:
        predictor: the model.
        folder: results go to its ``evaluation`` folder.
        recipe: what to call it in results.
        metrics: metrics to use where the settings name none.
        identity: plain data that decides its outputs beside its weights.
        provenance: of pretrained weights, for a model that has no run folder to tell it.
        swaps: glob over tensor names -> the run that these tensors were taken from, where they were exchanged.
    """

    predictor: Predictor
    folder: Path
    recipe: str
    metrics: tuple[str, ...] = ("wer", "cer")
    identity: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    swaps: Mapping[str, str] = field(default_factory=dict)


def evaluate_set(subject: Subject, name: str, path: str, settings: EvaluateSettings, *, fresh: bool = False) -> Result:
    """Decode, score and write one set; utterances that the same model has decoded before are taken over.

    Args:
        subject: the model.
        name: of the set.
        path: its manifest.
        settings: metrics, intervals, batching.
        fresh: decode everything again.

    Raises:
        StentorError: when the manifest cannot be used at all or the result cannot be written.
    """
    device = _place(subject.predictor, settings)
    bad: list[dict[str, str]] = []
    utterances = manifest.load(
        path, report=lambda rows: bad.extend({"where": row.where, "reason": row.reason} for row in rows)
    )
    metrics = build_metrics(settings.metrics or subject.metrics, settings.normaliser, settings.configured)
    check_metrics(subject.predictor, metrics)
    judges = load_judges(metrics)
    journal = Journal(subject.folder / "evaluation", name, _fingerprint(subject, path))
    _statistics(subject.predictor)  # what was counted before this set
    making = _production(subject.predictor, journal, metrics)
    rows = decode(subject.predictor, utterances, journal, settings, device, fresh=fresh, production=making)
    statistics = _statistics(subject.predictor) or journal.finished().get("statistics")
    found = {utterance.id: utterance for utterance in utterances}
    result: Result = {
        "set": name,
        "manifest": str(path),
        "recipe": subject.recipe,
        **_scores(rows, found, metrics, settings, journal, path=path),
        "normaliser": settings.normaliser,
        **_costs(rows, device),
        "bad_rows": bad,
        **({"statistics": statistics} if statistics else {}),
        "machine": machine.describe(device),
        **({"judges": judges} if judges else {}),
        **({"provenance": dict(subject.provenance)} if subject.provenance else {}),
        **({"swaps": dict(subject.swaps)} if subject.swaps else {}),
    }
    if metrics and tells(subject.predictor):
        first, metric = next(iter(metrics.items()))
        least = shown(rows, first, settings.aligned, lower=metric.lower_is_better)
        _align(subject.predictor, least, found, device)
    result["tables"] = _tables(rows, metrics, settings.normaliser)
    result["utterances"] = rows
    journal.close(result)
    return result


def _production(predictor: Predictor, journal: Journal, metrics: Mapping[str, Metric]) -> Production:
    """What is made of every batch: texts, or audio and the texts that metrics score beside it."""
    if not speaks(predictor):
        return Texts(predictor)
    texts = any(not isinstance(metric, AudioMetric) for metric in metrics.values())
    return Speech(cast(Task, predictor), journal.result.parent, journal.result.stem, texts=texts)


def _scores(
    rows: list[Row],
    found: Mapping[str, Utterance],
    metrics: Mapping[str, Metric],
    settings: EvaluateSettings,
    journal: Journal,
    *,
    path: str,
) -> Result:
    """``metrics``, and ``ground_truth`` where it is asked for; rows without a text get what the first judge heard."""
    name = journal.result.stem
    said = spoken(rows, found, journal.result.parent, path)
    scores: Result = {"metrics": score(rows, metrics, settings, settings.targets.get(name, {}), said)}
    for row in rows:
        row["output"] = row["output"] or next(iter(row.get("notes", {}).get("heard", {}).values()), "")
    over = settings.truth_targets.get(name, {})
    if settings.ground_truth or over:
        scores["ground_truth"] = score_truth(rows, found, path, metrics, settings)
        against_truth(scores["metrics"], scores["ground_truth"], over)
    return scores


def _tables(rows: list[Row], metrics: Mapping[str, Metric], normaliser: str) -> Result:
    """Breakdowns by the first metric; none for a task that no metric scores."""
    if not metrics:
        return {}
    name, metric = next(iter(metrics.items()))
    return breakdown.tables(rows, name, scale(metric), registry().build("normaliser", normaliser))


def _statistics(predictor: Predictor) -> Result | None:
    """What a task has counted while predicting since it was last asked."""
    return predictor.statistics() if isinstance(predictor, Task) else None


def _place(predictor: Predictor, settings: EvaluateSettings) -> torch.device:
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    if isinstance(predictor, nn.Module):
        predictor.to(device).eval()
        return device
    return torch.device("cpu")


def _costs(rows: list[Row], device: torch.device) -> Result:
    """Sizes, times and memory; the real-time factor counts the model alone, without reading files."""
    scored = [row for row in rows if "unscored" not in row]
    audio = sum(float(row.get("output_seconds") or row["duration"]) for row in scored)
    made = " that it made" if any("output_seconds" in row for row in scored) else ""
    processor, wall = (sum(row[key] for row in scored) for key in ("seconds", "wall_seconds"))
    return {
        "count": len(scored),
        "unscored": len(rows) - len(scored),
        "failed": sum("failure" in row for row in scored),
        "hours": sum(row["duration"] for row in scored) / 3600,
        "rtf": processor / audio if audio else None,
        "rtf_wall": wall / audio if audio else None,
        "rtf_means": f"processor seconds of the model over seconds of audio{made} (rtf_wall: elapsed seconds)",
        "peak_memory_mb": machine.peak_memory_mb(),
        **({"peak_device_memory_mb": torch.cuda.max_memory_allocated(device) / 1e6} if device.type == "cuda" else {}),
    }


def _align(predictor: Predictor, rows: list[Row], found: Mapping[str, Utterance], device: torch.device) -> None:
    """Put token times into the rows that a report will show."""
    for row in rows:
        if "alignment" in row or "failure" in row:
            continue
        utterance = found[row["id"]]
        batch = batch_of([utterance], [read(utterance, predictor.sample_rate)], device)
        try:
            times = predictor.align(batch, [row["output"]])
        except Exception as cause:  # an alignment is an extra of the report: the evaluation stands without it
            warnings.warn(f"no alignment for '{utterance.id}': {type(cause).__name__}: {cause}", stacklevel=2)
            continue
        if times is None:
            return
        row["alignment"] = [list(token) for token in times[0]]


def _fingerprint(subject: Subject, path: str) -> dict[str, str]:
    told = json.dumps([subject.recipe, subject.identity], sort_keys=True, default=str)
    return {
        "weights": _weights(subject.predictor),
        "identity": hashlib.sha256(told.encode()).hexdigest(),
        "manifest": manifest.fingerprint(path),
        "stentor": __version__,
    }


def _weights(predictor: Predictor) -> str:
    """SHA-256 over the names and bytes of all tensors; empty for a model that is no module."""
    if not isinstance(predictor, nn.Module):
        return ""
    digest = hashlib.sha256()
    for name, tensor in sorted(predictor.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def choose_sets(settings: EvaluateSettings, given: Mapping[str, str], wanted: list[str]) -> dict[str, str]:
    """Set name -> manifest: those given by hand, else those of the recipe; `wanted` picks among both.

    Raises:
        StentorError: when there is no such set, or none at all.
    """
    known = {**settings.sets, **given}
    for name in wanted:
        if name not in known:
            raise StentorError(f"there is no set '{name}'.", path="--sets", value=name, options=sorted(known))
    chosen = {name: known[name] for name in wanted} if wanted else dict(given or settings.sets)
    if not chosen:
        raise StentorError("the recipe names no sets; give one as NAME=MANIFEST.", path="evaluate.sets")
    return chosen
