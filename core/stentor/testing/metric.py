"""The contract of metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from stentor.testing.contract import ComponentContract
from stentor.testing.signals import SENTENCES


class MetricContract(ComponentContract):
    """Checks for metrics.

    Attributes:
        references: what should have come out.
        wrong: outputs that share nothing with the references.
    """

    kind = "metric"
    references: ClassVar[Sequence[str]] = SENTENCES
    wrong: ClassVar[Sequence[str]] = tuple(f"quux {index}" for index in range(len(SENTENCES)))

    def value(self, metric: Any, outputs: Sequence[str]) -> float:
        """Total errors over total units."""
        counts = metric.counts(self.references, outputs)
        return sum(errors for errors, _ in counts) / sum(units for _, units in counts)

    def probe(self, component: Any) -> Any:
        return component.counts(self.references, self.wrong)

    def test_counts(self) -> None:
        """One pair (errors, units) for every utterance, finite and not negative."""
        metric = self.build()
        for outputs in (self.references, self.wrong, [""] * len(self.references)):
            counts = metric.counts(self.references, outputs)
            self.demand(
                len(counts) == len(self.references), f"{len(self.references)} utterances give {len(counts)} pairs."
            )
            bad = [pair for pair in counts if not all(math.isfinite(number) and number >= 0 for number in pair)]
            self.demand(not bad, f"it counts {bad[:1]}.")
        self.demand(metric.counts([], []) == [], "no utterances give something.")

    def test_direction(self) -> None:
        """Perfect outputs score better than wrong ones, in the direction that it declares."""
        metric = self.build()
        perfect, wrong = self.value(metric, self.references), self.value(metric, self.wrong)
        better = perfect < wrong if metric.lower_is_better else perfect > wrong
        self.demand(better, f"lower_is_better is {metric.lower_is_better}; perfect outputs score {perfect:g}, wrong "
                            f"ones {wrong:g}.")  # fmt: skip
        if metric.lower_is_better:
            self.demand(perfect == 0, f"perfect outputs score {perfect:g}, 0 is due.")

    def test_utterances_independent(self) -> None:
        """An utterance's counts do not depend on the others: bootstrap intervals rest on it."""
        metric = self.build()
        outputs = [*self.references[:3], *self.wrong[3:]]
        together = metric.counts(self.references, outputs)
        for index, (reference, output) in enumerate(zip(self.references, outputs, strict=True)):
            alone = metric.counts([reference], [output])[0]
            self.demand(
                tuple(alone) == tuple(together[index]),
                f"utterance {index} counts {tuple(alone)} alone and {tuple(together[index])} among others.",
            )

    def test_empty_texts(self) -> None:
        """Empty references and outputs are counted, not refused."""
        for reference, output in (("", ""), ("", "word"), ("word", "")):
            counts = self.build().counts([reference], [output])
            fine = len(counts) == 1 and all(math.isfinite(number) for number in counts[0])
            self.demand(fine, f"reference {reference!r} and output {output!r} give {counts}.")

    def test_described(self) -> None:
        """It states what it counts, how it normalises, and its unit."""
        metric = self.build()
        self.demand(bool(metric.describe().strip()), "describe() is empty.")
        self.demand(isinstance(metric.unit, str), f"unit is {metric.unit!r}.")
