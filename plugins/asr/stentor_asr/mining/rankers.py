"""Rankers: which utterances of a pool a recogniser gets wrong, judged by what it heard."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.component import Component

if TYPE_CHECKING:
    from torch import Tensor

    from stentor_asr.mining.bags import Bag
    from stentor_asr.mining.ensemble import Ensemble, Regression


@dataclass(frozen=True)
class Labelled:
    """A bag with its label: what became of the hypothesis when it was compared with a reference.

    Attributes:
        bag: what was heard.
        errors: wrong words of the hypothesis (substituted, inserted, deleted).
        words: of the reference.
        loss: of the recogniser on the reference.
    """

    bag: Bag
    errors: float
    words: float
    loss: float

    @property
    def hardness(self) -> float:
        """Share of wrong words, at most 1."""
        return min(1.0, self.errors / max(1.0, self.words))


@dataclass(frozen=True)
class Verdict:
    """What a ranker says of one utterance.

    Attributes:
        hardness: the higher, the harder; only its order counts.
        attention: float [T], at least 0 and of sum 1: each instance's part in it; None where it does not tell.
    """

    hardness: float
    attention: Tensor | None = None


class Ranker(Component, ABC):
    """Judges how hard utterances are for a recogniser, from bags of what it heard; it sees no transcript of the pool.

    Attributes:
        learns: whether it must be fitted to labelled bags before it can judge.
    """

    contract: ClassVar[str] = "stentor_asr.mining.contract:RankerContract"
    learns: ClassVar[bool] = False

    def fit(self, labelled: Sequence[Labelled]) -> None:
        """Learn from labelled utterances of the domain, at least two; what does not learn ignores them."""

    @abstractmethod
    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        """One verdict for each bag, the same whatever other bags are judged with it."""


class Random(Ranker):
    """Draws a number for each utterance from its id and the seed.

    Args:
        seed: of the numbers.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        return [Verdict(self._draw(bag.id)) for bag in bags]

    def _draw(self, name: str) -> float:
        digest = hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


class Length(Ranker):
    """Longer is harder."""

    def __init__(self) -> None:
        pass

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        return [Verdict(bag.seconds) for bag in bags]


class Confidence(Ranker):
    """Less sure is harder: 1 minus the geometric mean of the likeliest symbols' probabilities."""

    def __init__(self) -> None:
        pass

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        from stentor_asr.mining.bags import TOP

        return [Verdict(1.0 - bag.confidence, _share(-bag.posteriors[:, TOP])) for bag in bags]


class Entropy(Ranker):
    """Less certain is harder: the mean entropy of the posteriors (nats)."""

    def __init__(self) -> None:
        pass

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        from stentor_asr.mining.bags import ENTROPY

        return [Verdict(bag.entropy, _share(bag.posteriors[:, ENTROPY])) for bag in bags]


class MultipleInstance(Ranker):
    """Gated-attention multiple-instance learning with a discriminative term, on labels of whole utterances.

    A bag is an utterance, an instance one frame or token of the recogniser; the attention says where it goes wrong.
    After arXiv 1904.08031, whose details are not published: attention and bag after arXiv 1802.04712, the label is the
    share of wrong words, the discriminative term holds right and wrong hypotheses apart
    (`stentor_asr.mining.mil.apart`).

    Args:
        discriminative: weight of the discriminative term; 0 leaves it out.
        states: principal directions of the recogniser's hidden states that instances keep beside the posteriors.
        hidden: width of embeddings and attention.
        dropout: of embeddings.
        steps: of Adam for each member.
        lr: highest learning rate.
        members: classifiers whose probabilities are averaged.
        seed: of the first member; the others count on.
    """

    learns = True

    def __init__(
        self,
        *,
        discriminative: float = 0.5,
        states: int = 4,
        hidden: int = 32,
        dropout: float = 0.3,
        steps: int = 100,
        lr: float = 1e-2,
        members: int = 3,
        seed: int = 0,
    ) -> None:
        ranges.refuse(
            {
                "discriminative": (discriminative, ranges.least(discriminative, 0)),
                "states": (states, ranges.least(states, 0)),
                "hidden": (hidden, ranges.least(hidden, 1)),
                "dropout": (dropout, ranges.probability(dropout)),
                "steps": (steps, ranges.least(steps, 1)),
                "lr": (lr, ranges.above_zero(lr)),
                "members": (members, ranges.least(members, 1)),
            },
            "ranker.",
        )
        self.discriminative, self.states, self.hidden, self.dropout = discriminative, states, hidden, dropout
        self.steps, self.lr, self.members, self.seed = steps, lr, members, seed
        self._ensemble: Ensemble | None = None

    def fit(self, labelled: Sequence[Labelled]) -> None:
        from stentor_asr.mining.ensemble import Ensemble
        from stentor_asr.mining.mil import Fitting

        settings = [
            Fitting(self.steps, self.lr, discriminative=self.discriminative, seed=self.seed + index)
            for index in range(self.members)
        ]
        self._ensemble = Ensemble.fit(labelled, settings, self.states, self.hidden, self.dropout)

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        return _fitted(self._ensemble).judge(bags)


class PlainMultipleInstance(MultipleInstance):
    """Gated-attention multiple-instance learning without the discriminative term: its ablation.

    Args:
        states: principal directions of the recogniser's hidden states that instances keep beside the posteriors.
        hidden: width of embeddings and attention.
        dropout: of embeddings.
        steps: of Adam for each member.
        lr: highest learning rate.
        members: classifiers whose probabilities are averaged.
        seed: of the first member; the others count on.
    """

    def __init__(
        self,
        *,
        states: int = 4,
        hidden: int = 32,
        dropout: float = 0.3,
        steps: int = 100,
        lr: float = 1e-2,
        members: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__(discriminative=0.0, states=states, hidden=hidden, dropout=dropout, steps=steps, lr=lr,
                         members=members, seed=seed)  # fmt: skip


class LossPrediction(Ranker):
    """Predicts the recogniser's loss on the reference from mean and deviation of the instances, by ridge regression.

    The idea is Yoo and Kweon's (2019, arXiv 1905.03677), with a linear predictor beside the frozen recogniser.

    Args:
        ridge: weight of the squared coefficients, in units of the number of labelled utterances.
    """

    learns = True

    def __init__(self, *, ridge: float = 0.1) -> None:
        ranges.refuse({"ridge": (ridge, ranges.above_zero(ridge))}, "ranker.")
        self.ridge = ridge
        self._regression: Regression | None = None

    def fit(self, labelled: Sequence[Labelled]) -> None:
        from stentor_asr.mining.ensemble import Regression

        self._regression = Regression.fit(labelled, self.ridge)

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        return _fitted(self._regression).judge(bags)


def _fitted(judge: Any) -> Any:
    if judge is None:
        raise StentorError("this ranker learns, and has not been fitted to labelled utterances yet.", path="ranker")
    return judge


def _share(weights: Tensor) -> Tensor | None:
    """Weights [T] as shares of their sum."""
    total = float(weights.sum())
    return weights / total if total > 0 else None
