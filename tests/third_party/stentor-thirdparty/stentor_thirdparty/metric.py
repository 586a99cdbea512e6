"""Metric `ser`: sentence error rate."""

from __future__ import annotations

from collections.abc import Sequence

from stentor.interfaces.metric import Metric


class SentenceErrorRate(Metric):
    """Share of utterances with any word wrong; lower case, white space collapsed."""

    def counts(self, references: Sequence[str], outputs: Sequence[str]) -> list[tuple[float, float]]:
        pairs = zip(references, outputs, strict=True)
        return [(float(reference.lower().split() != output.lower().split()), 1.0) for reference, output in pairs]
