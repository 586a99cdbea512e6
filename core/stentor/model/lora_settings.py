"""What a recipe may set about LoRA."""

from __future__ import annotations

from dataclasses import dataclass, field

from stentor.config import ranges


@dataclass
class LoraSettings:
    """Low-rank adaptation of a backbone (Hu et al. 2021, arXiv 2106.09685): only the added matrices train.

    Attributes:
        rank: of the update to each matrix; 0 means no LoRA.
        alpha: the update is scaled by ``alpha / rank``.
        dropout: probability of dropping inputs of the update while training.
        targets: names of the linear layers that are adapted.
    """

    rank: int = 0
    alpha: float = 16.0
    dropout: float = 0.0
    targets: list[str] = field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )

    def __post_init__(self) -> None:
        ranges.check(
            self,
            {
                "rank": ranges.least(self.rank, 0),
                "alpha": ranges.above_zero(self.alpha),
                "dropout": ranges.probability(self.dropout),
                "targets": (bool(self.targets or not self.rank), "at least one layer's name, as rank is not 0"),
            },
        )
