"""Singular values, effective rank, and the directions in which most of what is said lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spectrum:
    """Singular values, largest first."""

    values: tuple[float, ...]

    @property
    def effective_rank(self) -> float:
        """Exponential of the entropy of the normalised singular values (Roy and Vetterli 2007)."""
        values = torch.tensor(self.values, dtype=torch.float64)
        share = values / values.sum().clamp(min=1e-300)
        return float(torch.special.entr(share).sum().exp()) if float(values.sum()) > 0 else 0.0

    def energy(self, k: int) -> float:
        """Share of the sum of squares that lies in the `k` largest."""
        squares = torch.tensor(self.values, dtype=torch.float64) ** 2
        return float(squares[:k].sum() / squares.sum().clamp(min=1e-300))

    def needed(self, share: float) -> int:
        """The fewest values that hold `share` of the energy."""
        return next((k for k in range(len(self.values) + 1) if self.energy(k) >= share - 1e-12), len(self.values))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the values and what is read off them."""
        size = len(self.values)
        places = sorted({max(1, size // part) for part in (16, 8, 4, 2, 1)})
        return {
            "values": [float(f"{value:.6g}") for value in self.values],
            "effective_rank": self.effective_rank,
            "energy": {str(k): self.energy(k) for k in places},
            "needed": {str(share): self.needed(share) for share in (0.9, 0.95, 0.99)},
        }


@dataclass(frozen=True)
class Directions:
    """Principal directions of a cloud of vectors.

    Attributes:
        mean: [D].
        basis: [D, D], orthonormal columns, strongest first.
        spectrum: singular values of the centred cloud.
        spread: root mean square of the distance from the mean.
    """

    mean: Tensor
    basis: Tensor
    spectrum: Spectrum
    spread: float


def of_matrix(matrix: Tensor) -> Spectrum:
    """Spectrum of a weight; all dimensions but the first are taken as one."""
    flat = matrix.detach().flatten(1).to("cpu", torch.float64)
    return Spectrum(tuple(torch.linalg.svdvals(flat).tolist()))


def directions(rows: Tensor) -> Directions:
    """Principal directions of `rows` [N, D], centred, by the eigenvectors of their scatter matrix."""
    rows = rows.detach().to("cpu", torch.float64)
    mean = rows.mean(0)
    scatter = (rows - mean).mT @ (rows - mean)
    squares, vectors = torch.linalg.eigh(scatter)
    values = squares.flip(0).clamp(min=0).sqrt()
    spread = float((squares.clamp(min=0).sum() / len(rows)).sqrt())
    return Directions(mean.float(), vectors.flip(1).float(), Spectrum(tuple(values.tolist())), spread)


def random_basis(dim: int, k: int, seed: int) -> Tensor:
    """Orthonormal columns [dim, k] in random directions."""
    drawn = torch.randn(dim, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.float()
