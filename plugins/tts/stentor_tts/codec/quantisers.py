"""Vectors to a few codes each, and back: finite scalars, and residual codebooks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError


class Quantiser(nn.Module):
    """Vectors float [B, T, dim] to codes int64 [B, T, K] and back.

    Attributes:
        dim: of the vectors.
        sizes: of the K codebooks.
    """

    dim: int
    sizes: tuple[int, ...]

    @abstractmethod
    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """For training: what is left of the vectors, with a straight-through gradient, and a loss (scalar)."""

    @abstractmethod
    def codes(self, vectors: Tensor) -> Tensor:
        """Codes int64 [B, T, K]."""

    @abstractmethod
    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors float [B, T, dim] of codes [B, T, K]."""


class FiniteScalars(Quantiser):
    """Finite scalar quantisation (Mentzer et al., arXiv 2309.15505): every number is rounded to one of a few levels.

    Each codebook has numbers of its own, so that K of them side by side make a frame; there is nothing to collapse.
    """

    def __init__(self, levels: Sequence[int], codebooks: int) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise StentorError("it needs at least one number, each at least 2.", path="levels", value=tuple(levels))
        self.levels, self.codebooks = tuple(levels), codebooks
        self.dim, self.sizes = len(levels) * codebooks, (math.prod(levels),) * codebooks

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        bounded, half = self._bounded(vectors)
        rounded = bounded + (bounded.round() - bounded).detach()
        return rounded / half, vectors.new_zeros(())

    def codes(self, vectors: Tensor) -> Tensor:
        bounded, half = self._bounded(vectors)
        steps = (bounded.round() + half).long().reshape(*vectors.shape[:-1], self.codebooks, len(self.levels))
        return (steps * self._places(vectors.device)).sum(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        levels = torch.tensor(self.levels, device=codes.device)
        steps = codes.unsqueeze(-1) // self._places(codes.device) % levels
        half = (levels // 2).float()
        return ((steps - half) / half).flatten(-2)

    def _bounded(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers that round to ``-(L // 2)`` up to ``(L - 1) // 2`` for L levels, and L // 2, each [..., dim]."""
        levels = torch.tensor(self.levels * self.codebooks, device=vectors.device, dtype=vectors.dtype)
        reach = (levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        shift = (offset / reach).atanh()
        return (vectors + shift).tanh() * reach - offset, (levels / 2).floor()

    def _places(self, device: torch.device) -> Tensor:
        """What a step in each number of a codebook is worth in its code."""
        return torch.tensor([math.prod(self.levels[:at]) for at in range(len(self.levels))], device=device)


class ResidualCodebooks(Quantiser):
    """Residual vector quantisation: each codebook codes what those before it left (SoundStream, arXiv 2107.03312).

    Codebooks follow the running means of what they are chosen for (van den Oord et al., arXiv 1711.00937); a code that
    is hardly chosen any more gets a vector of the batch, as all do at the beginning.
    """

    def __init__(self, size: int, codebooks: int, dim: int, *, decay: float = 0.99) -> None:
        super().__init__()
        if size < 2:
            raise StentorError("a codebook needs at least two codes.", path="size", value=size)
        self.dim, self.sizes, self.decay = dim, (size,) * codebooks, decay
        self.register_buffer("books", torch.randn(codebooks, size, dim))
        self.register_buffer("sums", torch.zeros(codebooks, size, dim))
        self.register_buffer("chosen", torch.zeros(codebooks, size))

    books: Tensor
    sums: Tensor
    chosen: Tensor

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        left, made, cost = vectors, torch.zeros_like(vectors), vectors.new_zeros(())
        for place in range(len(self.sizes)):
            nearest = _nearest(left, self.books[place])
            if self.training:
                self._follow(place, left.detach().flatten(0, -2), nearest.flatten())
            found = functional.embedding(nearest, self.books[place])
            cost = cost + functional.mse_loss(left, found.detach())
            made, left = made + found, left - found.detach()
        return vectors + (made - vectors).detach(), cost / len(self.sizes)

    def codes(self, vectors: Tensor) -> Tensor:
        found, left = [], vectors
        for book in self.books:
            found.append(_nearest(left, book))
            left = left - functional.embedding(found[-1], book)
        return torch.stack(found, -1)

    def vectors(self, codes: Tensor) -> Tensor:
        parts = [functional.embedding(one, book) for one, book in zip(codes.unbind(-1), self.books, strict=True)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def _follow(self, place: int, vectors: Tensor, nearest: Tensor) -> None:
        """Move a codebook towards the `vectors` [n, dim] that chose its codes `nearest` [n]; revive dead codes."""
        size = self.sizes[place]
        counts = torch.bincount(nearest, minlength=size).to(vectors.dtype)
        sums = torch.zeros_like(self.sums[place]).index_add_(0, nearest, vectors)
        self.chosen[place].lerp_(counts, 1 - self.decay)
        self.sums[place].lerp_(sums, 1 - self.decay)
        dead = self.chosen[place] < _DEAD * len(vectors) / size
        alive = ~dead
        self.books[place, alive] = self.sums[place, alive] / self.chosen[place, alive].unsqueeze(-1)
        fresh = vectors[torch.randint(len(vectors), (int(dead.sum()),), device=vectors.device)]
        fair = len(vectors) / size
        self.books[place, dead], self.sums[place, dead], self.chosen[place, dead] = fresh, fresh * fair, fair


_DEAD = 0.05
"""Share of its fair number of choices below which a code counts as dead."""


def _nearest(vectors: Tensor, book: Tensor) -> Tensor:
    """Index int64 [...] of the code nearest to each vector [..., dim] in a codebook [size, dim]."""
    return (book.square().sum(-1) - 2 * vectors @ book.T).argmin(-1)
