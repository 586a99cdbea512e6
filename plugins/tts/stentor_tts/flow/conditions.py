"""What the flow is told: the codes at every position, and the voice of the reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor_tts.flow.grid import Grid
from stentor_tts.flow.layers import ConvBlock

_QUICK = 12.0
"""Adam moves all weights alike, and a batch has few of the codes: embeddings are scaled so that they move faster."""


class CodeEncoder(nn.Module):
    """Codes on the grid of positions: embeddings of all codebooks are summed, then look around within `lookahead`.

    Args:
        grid: where codes lie.
        dim: width.
        lookahead: groups of codes that a position sees behind its own.
        layers: convolutions that share the look-ahead between them.

    Attributes:
        margin: positions that `forward` needs on either side of those it gives.
    """

    def __init__(self, grid: Grid, dim: int, lookahead: int, layers: int = 2) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(book.size, dim) for book in grid.codec.codebooks)
        for number, codes in enumerate(grid.codec.pattern):
            self.register_buffer(f"overlap{number}", grid.overlap(codes), persistent=False)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.05 / _QUICK)  # type: ignore[arg-type]
        self.place = nn.Parameter(torch.randn(grid.positions, dim) * 0.02)
        self.margin = lookahead * grid.positions
        radii = [self.margin * (n + 1) // layers - self.margin * n // layers for n in range(layers)]
        self.blocks = nn.ModuleList(ConvBlock(dim, radius) for radius in radii)

    def embed(self, codes: Sequence[Tensor]) -> Tensor:
        """Positions float [B, G * P, D] of codes int64 [B, G, n], one tensor for each codebook."""
        parts = [
            torch.einsum("pn,bgnd->bgpd", getattr(self, f"overlap{number}"), table(block))
            for number, (table, block) in enumerate(zip(self.tables, codes, strict=True))
        ]
        return (torch.stack(parts).sum(0) * _QUICK + self.place).flatten(1, 2)

    def forward(self, embedded: Tensor, valid: Tensor) -> Tensor:
        """Positions [B, T - 2 * margin, D] of embedded codes [B, T, D]; those not `valid` [B, T] lie outside."""
        for block in self.blocks:
            embedded, valid = block(embedded, valid)
        return embedded


class Speaker(nn.Module):
    """A reference as a vector and as tokens: stacked mel frames, with the codes where they are known.

    Args:
        channels: values at a position.
        dim: width.
        layers: convolutions.
    """

    _RADIUS = 2

    def __init__(self, channels: int, dim: int, layers: int = 2) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, self._RADIUS) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.weigh = nn.Linear(dim, 1)
        self.vector = nn.Linear(2 * dim, dim)
        self.nobody = nn.Parameter(torch.randn(2, dim) * 0.02)

    def forward(self, mel: Tensor, codes: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, 1 + R, D], the first of which means nobody, and vectors [B, D].

        Attention pooling of mean and deviation (Okabe et al. 2018, arXiv 1803.10963); a row without a valid position
        has the vector of nobody.

        Args:
            mel: normalised positions [B, R, C].
            codes: embedded codes [B, R, D], zero where they are not known.
            valid: [B, R].
        """
        around = len(self.blocks) * self._RADIUS
        x = functional.pad(self.enter(mel) + codes, (0, 0, around, around))
        reach = functional.pad(valid, (around, around))
        for block in self.blocks:
            x, reach = block(x, reach)
        x = self.norm(x)
        known = valid.any(dim=1)
        weights = self.weigh(x).squeeze(-1).masked_fill(~valid & known[:, None], -torch.inf).softmax(dim=-1)[..., None]
        mean = (weights * x).sum(dim=1)
        spread = (weights * (x - mean[:, None]) ** 2).sum(dim=1).add(1e-5).sqrt()
        vector = torch.where(known[:, None], self.vector(torch.cat([mean, spread], dim=-1)), self.nobody[1])
        return torch.cat([self.nobody[:1].expand(len(x), 1, -1), x], dim=1), vector
