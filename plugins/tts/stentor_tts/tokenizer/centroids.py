"""Centroids: vectors to the index of the nearest, found by online k-means."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROUNDS = 10
_AT_A_TIME = 16
_KEEP = 0.9
_DEAD = 0.03


class Centroids(nn.Module):
    """`size` centroids of frames [M, 1 + A + S]: distance from silence, A acoustics, S encoder states.

    Acoustics are multiplied with what each of them weighs; states are standardised by what `begin` was given, so that
    all of them together weigh `weight`, and fade into silence.

    Args:
        size: number of centroids.
        acoustics: float [A], what each acoustic feature is multiplied with.
        states: S.
        weight: of the states.
    """

    shift: Tensor
    scale: Tensor
    usage: Tensor

    def __init__(self, size: int, acoustics: Tensor, states: int, *, weight: float = 1.0) -> None:
        super().__init__()
        self.size, self.faded = size, len(acoustics)
        self.states_scale = weight / max(states, 1) ** 0.5
        self.weight = nn.Parameter(torch.randn(size, len(acoustics) + states))
        self.register_buffer("shift", torch.zeros(len(acoustics) + states))
        self.register_buffer("scale", torch.cat([acoustics, torch.full((states,), self.states_scale)]))
        self.register_buffer("usage", torch.zeros(size))

    @property
    def begun(self) -> bool:
        """Whether the centroids come from data."""
        return bool(self.usage.sum() > 0)

    def points(self, frames: Tensor) -> Tensor:
        """Frames [M, 1 + A + S] where distances are measured: float [M, A + S]."""
        points = (frames[:, 1:].to(self.weight.dtype) - self.shift) * self.scale
        gate = frames[:, :1].to(points.dtype)
        return torch.cat([points[:, : self.faded], points[:, self.faded :] * gate], -1)

    def features(self, codes: Tensor) -> Tensor:
        """What codes int64 [T] stand for, in the units of the frames: float [T, A + S]."""
        found: Tensor = self.weight[codes] / self.scale + self.shift
        return found

    def nearest(self, points: Tensor) -> Tensor:
        """Index int64 [M] of the centroid nearest to each point [M, A + S]."""
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            return (points @ self.weight.T - self.weight.square().sum(-1) / 2).argmax(-1)

    def forward(self, frames: Tensor) -> Tensor:
        """Codes int64 [M] of frames [M, 1 + A + S]."""
        return self.nearest(self.points(frames))

    def loss(self, frames: Tensor) -> Tensor:
        """Mean squared distance of frames to their centroids, whose gradient moves these (k-means as descent).

        While gradients are wanted, the first call then takes the centroids from its frames, and later ones move those
        that hardly a frame chooses to where frames are far from all.
        """
        points = self.points(frames)
        codes = self.nearest(points)
        losses = (points - self.weight[codes]).square().sum(-1)
        if torch.is_grad_enabled():
            self._count(frames, points, codes, losses.detach())
        return losses.mean()

    @torch.no_grad()
    def _count(self, frames: Tensor, points: Tensor, codes: Tensor, losses: Tensor) -> None:
        if not self.begun:
            self.begin(frames)
            return
        counts = torch.bincount(codes, minlength=self.size).to(self.usage.dtype)
        self.usage.mul_(_KEEP).add_(counts, alpha=1 - _KEEP)
        dead = (self.usage < _DEAD * self.usage.mean()).nonzero()[:, 0][: len(points)]
        if len(dead):
            self.weight[dead] = points[_drawn(losses, len(dead))]
            self.usage[dead] = self.usage.mean()

    @torch.no_grad()
    def begin(self, frames: Tensor) -> None:
        """Take shift, scale and centroids from frames [M, 1 + A + S]: k-means (Lloyd) from points far apart."""
        sound = frames[frames[:, 0] > 0.5][:, 1 + self.faded :].to(self.shift.dtype)
        if len(sound) > 1 and sound.shape[1]:
            self.shift[self.faded :] = sound.mean(0)
            self.scale[self.faded :] = self.states_scale / sound.std(0).clamp(min=1e-4)
        points = self.points(frames)
        self.weight.copy_(_apart(points, self.size))
        for index in range(_ROUNDS):
            codes = self.nearest(points)
            counts = torch.bincount(codes, minlength=self.size).to(points.dtype)
            sums = torch.zeros_like(self.weight).index_add_(0, codes, points)
            self.weight.copy_(torch.where(counts[:, None] > 0, sums / counts[:, None].clamp(min=1), self.weight))
            if index < _ROUNDS - 1 and (empty := (counts == 0).nonzero()[:, 0]).numel():
                far = (points - self.weight[codes]).square().sum(-1)
                self.weight[empty] = points[_drawn(far, len(empty))]
        self.usage.fill_(len(points) / self.size)


def _apart(points: Tensor, count: int) -> Tensor:
    """`count` of the points [M, D], some at a time in proportion to their squared distance to those that were drawn
    before (k-means++, Arthur and Vassilvitskii 2007; some at a time as in Bahmani et al. 2012)."""
    chosen = points[_drawn(torch.ones(len(points), device=points.device), 1)]
    far = (points - chosen).square().sum(-1)
    while len(chosen) < count:
        drawn = points[_drawn(far, min(max(1, count // _AT_A_TIME), count - len(chosen)))]
        far = torch.minimum(far, torch.cdist(points, drawn).amin(-1).square())
        chosen = torch.cat([chosen, drawn])
    return chosen


def _drawn(chances: Tensor, count: int) -> Tensor:
    """`count` indices int64 drawn in proportion to `chances` [M], without repetition while there are enough."""
    able = int((chances > 0).sum())
    fair = chances if able else torch.ones_like(chances)
    return torch.multinomial(fair.float(), count, replacement=count > max(able, 0) or not able)
