"""The contract of rankers."""

from __future__ import annotations

from typing import Any

import torch

from stentor.testing import ComponentContract
from stentor_asr.mining.bags import Bag, statistics
from stentor_asr.mining.rankers import Labelled, Verdict


class RankerContract(ComponentContract):
    """Checks for rankers."""

    kind = "ranker"

    def ranker(self) -> Any:
        """One that can judge."""
        built = self.build()
        built.fit(labelled())
        return built

    def probe(self, component: Any) -> Any:
        component.fit(labelled())
        return [verdict.hardness for verdict in component.judge(bags())]

    def test_one_verdict_per_bag(self) -> None:
        """As many verdicts as bags, each a finite number; none for none."""
        ranker = self.ranker()
        found = ranker.judge(bags())
        self.demand(len(found) == len(bags()), f"{len(bags())} bags give {len(found)} verdicts.")
        numbers = [verdict.hardness for verdict in found]
        self.demand(bool(torch.tensor(numbers).isfinite().all()), f"hardness is {numbers}.")
        self.demand(ranker.judge([]) == [], "no bags give verdicts.")

    def test_company_changes_nothing(self) -> None:
        """A bag is judged alone as it is among others, in any order."""
        ranker, given = self.ranker(), bags()
        together = [verdict.hardness for verdict in ranker.judge(given)]
        backward = [verdict.hardness for verdict in ranker.judge(given[::-1])][::-1]
        alone = [ranker.judge([bag])[0].hardness for bag in given]
        for other in (backward, alone):
            apart = (torch.tensor(other) - torch.tensor(together)).abs().max()
            self.demand(float(apart) <= self.tolerance, f"the bags score {other}, together {together}.")

    def test_attention(self) -> None:
        """Where attention is told, it has one share for each instance; shares are not negative and sum to 1."""
        for bag, verdict in zip(bags(), self.ranker().judge(bags()), strict=True):
            if verdict.attention is not None:
                shape = tuple(verdict.attention.shape)
                self.demand(
                    shape == (len(bag.frames),), f"{len(bag.frames)} instances have attention of shape {shape}."
                )
                total, least = float(verdict.attention.sum()), float(verdict.attention.min())
                fine = abs(total - 1) <= self.tolerance and least >= -self.tolerance
                self.demand(fine, f"attention sums to {total:g}, its least share is {least:g}.")

    def test_nothing_heard(self) -> None:
        """A bag without instances is judged like any other."""
        empty = Bag("empty", 1.0, torch.zeros(0, 6), torch.zeros(0, 4), torch.zeros(0, 2), "")
        (verdict,) = self.ranker().judge([empty])
        self.demand(isinstance(verdict, Verdict), f"an empty bag gives {verdict!r}.")

    def test_fit_is_repeatable(self) -> None:
        """Fitted twice to the same bags it judges alike."""
        first, second = ([verdict.hardness for verdict in self.ranker().judge(bags())] for _ in range(2))
        self.demand(first == second, f"a second fit scores {second}, the first {first}.")


def bags(count: int = 5) -> list[Bag]:
    """Made bags of several lengths, in which later ones are less certain."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for index in range(count):
        size = 4 + 3 * index
        logits = torch.randn(size, 9, generator=generator) * (6 - index)
        times = torch.arange(size)[:, None] * 0.06 + torch.tensor([0.0, 0.06])
        frames = torch.randn(size, 6, generator=generator)
        posteriors = statistics(logits.log_softmax(-1), nothing=0)
        made.append(Bag(f"bag-{index}", size * 0.06, frames, posteriors, times, "words"))
    return made


def labelled() -> list[Labelled]:
    """Made bags with labels: the less certain half is wrong."""
    return [Labelled(bag, float(index > 3), 2.0, float(index)) for index, bag in enumerate(bags(8))]
