"""What the learning rankers are inside: instances made of bags, and the models that are fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from stentor_asr.mining import mil
from stentor_asr.mining.bags import ENTROPY, TOP, Bag
from stentor_asr.mining.rankers import Labelled, Verdict

if TYPE_CHECKING:
    from stentor_asr.mining.mil import BagClassifier, Fitting

_NEIGHBOURS = 2
_SMALL = 1e-3


@dataclass(frozen=True)
class Instances:
    """Makes the instances of a bag.

    An instance is its posteriors, their doubt on a logarithmic scale, the mean posteriors of the instances around it,
    and its hidden state along a few principal directions: few enough to learn from some hundred labelled bags.

    Attributes:
        mean: of the hidden states, float [D].
        directions: principal directions, float [D, K].
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, bags: Sequence[Bag], count: int) -> Instances:
        """With the first `count` principal directions of these bags."""
        frames = torch.cat([bag.frames for bag in bags])
        mean = frames.mean(0)
        covariance = torch.cov((frames - mean).T).reshape(frames.shape[1], frames.shape[1])
        vectors = torch.linalg.eigh(covariance).eigenvectors.flip(-1)[:, :count]
        return cls(mean, vectors)

    def __call__(self, bag: Bag) -> Tensor:
        """Float32 [T, 10 + K]; a bag in which nothing was heard has one instance of no doubt."""
        posteriors = bag.posteriors
        if not len(posteriors):
            return torch.zeros(1, 2 * posteriors.shape[1] + 2 + self.directions.shape[1])
        doubt = torch.stack([(_SMALL - posteriors[:, TOP]).log(), (_SMALL + posteriors[:, ENTROPY]).log()], 1)
        around = functional.avg_pool1d(
            posteriors.T[None], 2 * _NEIGHBOURS + 1, 1, _NEIGHBOURS, count_include_pad=False
        )[0].T  # fmt: skip
        return torch.cat([posteriors, doubt, around, (bag.frames - self.mean) @ self.directions], 1)


class Ensemble:
    """Several bag classifiers, whose probabilities and attentions are averaged."""

    def __init__(self, instances: Instances, members: Sequence[BagClassifier]) -> None:
        self.instances, self.members = instances, list(members)

    @classmethod
    def fit(
        cls, labelled: Sequence[Labelled], settings: Sequence[Fitting], states: int, hidden: int, dropout: float
    ) -> Ensemble:
        """One member for each of `settings`."""
        instances = Instances.of([one.bag for one in labelled], states)
        bags = [instances(one.bag) for one in labelled]
        hardness = torch.tensor([one.hardness for one in labelled])
        return cls(instances, [mil.fit(bags, hardness, each, hidden, dropout) for each in settings])

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        """The mean probability of each bag, and its mean attention."""
        made = [self.instances(bag) for bag in bags]
        found = [mil.judge(member, made) for member in self.members]
        hardness = torch.stack([chances for chances, _ in found]).mean(0).tolist()
        attention = [torch.stack(rows).mean(0) for rows in zip(*(weights for _, weights in found), strict=True)]
        told = zip(bags, hardness, attention, strict=True)
        return [Verdict(value, weights if len(bag.posteriors) else None) for bag, value, weights in told]


class Regression:
    """Ridge regression of the logarithm of a loss on mean and deviation of instances.

    Args:
        instances: makes them.
        mean: of the predictors, float [P].
        scale: of the predictors, float [P].
        weights: float [P + 1], the last one the offset.
    """

    def __init__(self, instances: Instances, mean: Tensor, scale: Tensor, weights: Tensor) -> None:
        self.instances, self.mean, self.scale, self.weights = instances, mean, scale, weights

    @classmethod
    def fit(cls, labelled: Sequence[Labelled], ridge: float) -> Regression:
        """Closed form, in float64."""
        instances = Instances.of([one.bag for one in labelled], 0)
        pooled = torch.stack([_pooled(instances(one.bag)) for one in labelled]).double()
        mean, scale = pooled.mean(0), pooled.std(0).clamp(min=_SMALL)
        rows = torch.cat([(pooled - mean) / scale, torch.ones(len(pooled), 1)], 1).double()
        losses = torch.tensor([one.loss for one in labelled], dtype=torch.float64).clamp(min=0).log1p()
        penalty = ridge * len(rows) * torch.eye(rows.shape[1], dtype=torch.float64)
        penalty[-1, -1] = 0
        return cls(instances, mean, scale, torch.linalg.solve(rows.T @ rows + penalty, rows.T @ losses))

    def judge(self, bags: Sequence[Bag]) -> list[Verdict]:
        """The predicted logarithm of 1 + loss."""
        if not bags:
            return []
        pooled = torch.stack([_pooled(self.instances(bag)) for bag in bags]).double()
        rows = (pooled - self.mean) / self.scale
        return [Verdict(value) for value in (rows @ self.weights[:-1] + self.weights[-1]).tolist()]


def _pooled(instances: Tensor) -> Tensor:
    return torch.cat([instances.mean(0), instances.std(0, correction=0)])
