"""Metrics of audio around a set: what they need, and the scores of the set's own audio beside those of the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.journal import Row
from stentor.evaluate.scoring import score, verdict
from stentor.evaluate.settings import EvaluateSettings, OverTruth
from stentor.evaluate.speaking import ground_truth, speaks
from stentor.interfaces.metric import AudioMetric, Metric
from stentor.interfaces.task import Task

Scores = dict[str, dict[str, Any]]


def check_metrics(predictor: Any, metrics: Mapping[str, Metric]) -> None:
    """See that the model gives what the metrics score.

    Raises:
        StentorError: for a metric of audio where the model does not speak, or of texts where it gives none.
    """
    for name, metric in metrics.items():
        if isinstance(metric, AudioMetric) and not speaks(predictor):
            raise StentorError(f"metric '{name}' measures audio, and this model does not speak.",
                               path="evaluate.metrics", value=name)  # fmt: skip
        if not isinstance(metric, AudioMetric) and not tells(predictor):
            raise StentorError(f"metric '{name}' scores texts, and this model gives none.", path="evaluate.metrics",
                               value=name, suggestion="Take one of audio, e.g. wer-whisper.")  # fmt: skip


def tells(predictor: Any) -> bool:
    """Whether a model gives texts: a task that only speaks does not."""
    return getattr(type(predictor), "predict", None) is not Task.predict


def load_judges(metrics: Mapping[str, Metric]) -> dict[str, dict[str, str]]:
    """Read what metrics of audio judge with; gives its provenance, for those that have some.

    Raises:
        StentorError: that names what to install.
    """
    measuring = {name: metric for name, metric in metrics.items() if isinstance(metric, AudioMetric)}
    told = {name: metric.load_pretrained() for name, metric in measuring.items()}
    return {name: source for name, source in told.items() if source}


def score_truth(
    rows: Sequence[Row],
    utterances: Mapping[str, Utterance],
    manifest: str,
    metrics: Mapping[str, Metric],
    settings: EvaluateSettings,
) -> Scores:
    """The set's own audio under the metrics of audio that do not compare with it; each row gets ``truth``."""
    measured = {
        name: metric
        for name, metric in metrics.items()
        if isinstance(metric, AudioMetric) and "reference" not in metric.needs
    }
    given = ground_truth(rows, utterances, manifest)
    mirrored = [{"id": row["id"], "reference": row["reference"]} for row in rows if row["id"] in given]
    found = score(mirrored, measured, settings, {}, given)
    for row, mirror in zip([row for row in rows if row["id"] in given], mirrored, strict=True):
        row["truth"]["counts"] = mirror["counts"]
    return found


def against_truth(scores: Scores, truth: Scores, targets: Mapping[str, OverTruth]) -> None:
    """Put the targets that the set's own audio tells into `scores`.

    Raises:
        StentorError: for a metric that was not scored, or that has no score of the set's own audio.
    """
    for name, over in targets.items():
        if name not in scores or truth.get(name, {}).get("value") is None:
            raise StentorError("there is no score of the set's own audio to tell the target by.",
                               path=f"evaluate.truth_targets.{name}", options=sorted(truth))  # fmt: skip
        own, metric = truth[name]["value"], scores[name]
        metric |= verdict(metric["value"], over.of(own), lower=metric["lower_is_better"])
        metric["target_means"] = f"{over.times:g} \N{MULTIPLICATION SIGN} ground truth ({own:.2f}) + {over.plus:g}"
