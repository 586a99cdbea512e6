"""Room for a voice: a speaker vector in the directions that an adapter leaves free (arXiv 2406.13357)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_STEPS, _RATE, _DECAY = 300, 1e-2, 1e-2


@dataclass(frozen=True)
class SpeakerPart:
    """What was trained: voice print to a unit vector, and unit vector to speaker; all else stays as it was.

    Attributes:
        centre: mean of the voice prints [P].
        scale: their standard deviation [P].
        vector: linear layer P -> m.
        classifier: linear layer m -> speakers.
        speakers: names, by class.
    """

    centre: Tensor
    scale: Tensor
    vector: nn.Linear
    classifier: nn.Linear
    speakers: tuple[str, ...]

    def __call__(self, prints: Tensor) -> Tensor:
        """Unit vectors [B, m] of voice prints [B, P]."""
        centred = (prints - self.centre.to(prints)) / self.scale.to(prints)
        return functional.normalize(self.vector.to(prints.device)(centred), dim=-1)

    @torch.no_grad()
    def accuracy(self, found: Tensor, speakers: Sequence[str]) -> float:
        """Share (%) of rows of `found` [N, m] whose speaker the classifier names; zeros are classified too."""
        named = self.classifier(found).argmax(-1).tolist()
        return 100 * sum(self.speakers[i] == true for i, true in zip(named, speakers, strict=True)) / len(speakers)


def train(prints: Tensor, speakers: Sequence[str], width: int, seed: int = 0) -> SpeakerPart:
    """Train the speaker part alone on voice prints [N, P], all rows at once.

    Args:
        prints: voice prints.
        speakers: who speaks each.
        width: dimensions m of the vector.
        seed: of the initial weights.
    """
    names = tuple(sorted(set(speakers)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(prints.shape[1], width), nn.Linear(width, len(names))
    part = SpeakerPart(prints.mean(0), prints.std(0).clamp(min=1e-6), *layers, names)
    targets = torch.tensor([names.index(name) for name in speakers])
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    with torch.enable_grad():
        for _ in range(_STEPS):
            optimiser.zero_grad()
            loss = functional.cross_entropy(layers[1](part(prints)), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return part
