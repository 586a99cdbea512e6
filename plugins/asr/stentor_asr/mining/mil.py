"""Gated-attention multiple-instance learning (Ilse et al. 2018, arXiv 1802.04712) with a discriminative term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from stentor_asr.conformer import within


class GatedAttention(nn.Module):
    """Pools instances: weights ``softmax(w . (tanh(V h) * sigmoid(U h)))`` over the instances of a bag, their sum.

    It knows no order: permuting a bag's instances permutes its weights and leaves the sum as it is.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.weight = nn.Linear(hidden, 1, bias=False)

    def forward(self, instances: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Instances [B, T, D] and which are real, bool [B, T], to bags [B, D] and weights [B, T]."""
        scores = self.weight(self.value(instances).tanh() * self.gate(instances).sigmoid()).squeeze(-1)
        weights = scores.masked_fill(~valid, -torch.inf).softmax(-1)
        return (weights[:, None] @ instances).squeeze(1), weights


class BagClassifier(nn.Module):
    """Instances to embeddings, gated attention, one logit: how likely a word of the bag's hypothesis is wrong.

    Args:
        dim: width of the instances.
        hidden: width of embeddings and of the attention.
        dropout: on instances' embeddings.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, hidden: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.embed = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.attention = GatedAttention(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def standardise(self, instances: Tensor) -> None:
        """Take mean and deviation of `instances` [N, D] as those to be removed."""
        self.mean, self.scale = instances.mean(0), instances.std(0).clamp(min=1e-3)

    def forward(self, instances: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Instances [B, T, D] and lengths [B] to logits [B], bag embeddings [B, hidden] and attention [B, T]."""
        embedded = self.embed((instances - self.mean) / self.scale)
        bags, weights = self.attention(embedded, within(lengths, instances.shape[1]))
        return self.out(bags).squeeze(-1), bags, weights


@dataclass(frozen=True)
class Fitting:
    """How a `BagClassifier` is fitted.

    Attributes:
        steps: of Adam.
        lr: highest learning rate; it falls to 0 along a cosine.
        weight_decay: decoupled.
        batch: bags in a step.
        discriminative: weight of `apart`.
        seed: of initialisation, order and dropout.
    """

    steps: int = 200
    lr: float = 3e-3
    weight_decay: float = 1e-2
    batch: int = 64
    discriminative: float = 0.5
    seed: int = 0


def fit(
    bags: Sequence[Tensor], hardness: Tensor, settings: Fitting, hidden: int = 32, dropout: float = 0.3
) -> BagClassifier:
    """Fit a classifier to bags and their labels alone; no instance has a label.

    Args:
        bags: instances [T_i, D] of each, at least one.
        hardness: float [B] in [0, 1], e.g. the share of wrong words.
        settings: how.
        hidden: see `BagClassifier`.
        dropout: see `BagClassifier`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = BagClassifier(bags[0].shape[1], hidden, dropout).train()
        model.standardise(torch.cat(list(bags)))
        optimiser = torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
        for _ in range(settings.steps):
            chosen = torch.randperm(len(bags))[: settings.batch].tolist()
            logits, embeddings, _ = model(*padded([bags[index] for index in chosen]))
            wanted = hardness[chosen]
            loss = functional.binary_cross_entropy_with_logits(logits, wanted)
            if settings.discriminative:
                loss = loss + settings.discriminative * apart(embeddings, wanted)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return model.eval()


def apart(embeddings: Tensor, hardness: Tensor, margin: float = 0.5) -> Tensor:
    """The discriminative term: bags that differ in hardness lie apart in angle, bags that are alike lie together.

    For every pair the cosine of the embeddings is pulled to 1 where both have the same label (wrong or right), and
    pushed below `margin` where one hypothesis is wrong and the other right, by the difference of their hardness.
    Contrastive loss (Hadsell et al. 2006, CVPR) over all pairs of a batch.

    Args:
        embeddings: float [B, D].
        hardness: float [B] in [0, 1]; 0 is right.
        margin: cosine below which unlike bags are left alone.
    """
    unit = functional.normalize(embeddings, dim=-1)
    cosine = unit @ unit.T
    wrong = hardness > 0
    unlike = wrong[:, None] != wrong[None]
    gap = (hardness[:, None] - hardness[None]).abs()
    push = (cosine - margin).clamp(min=0) * gap * unlike
    pull = (1 - cosine) * ~unlike
    others = ~torch.eye(len(hardness), dtype=torch.bool, device=hardness.device)
    halves = [
        (term * others).sum() / (mask & others).sum().clamp(min=1) for term, mask in ((push, unlike), (pull, ~unlike))
    ]
    return halves[0] + halves[1]


def padded(bags: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Bags [T_i, D] as one tensor [B, T, D] and their lengths [B]."""
    return pad_sequence(list(bags), batch_first=True), torch.tensor([len(bag) for bag in bags])


@torch.inference_mode()
def judge(model: BagClassifier, bags: Sequence[Tensor], batch: int = 256) -> tuple[Tensor, list[Tensor]]:
    """Hardness [B] in [0, 1] and the attention [T_i] of each bag."""
    chances, weights = [torch.zeros(0)], []
    for first in range(0, len(bags), batch):
        part = bags[first : first + batch]
        logits, _, attention = model(*padded(part))
        chances.append(logits.sigmoid())
        weights += [row[: len(bag)] for row, bag in zip(attention, part, strict=True)]
    return torch.cat(chances), weights
