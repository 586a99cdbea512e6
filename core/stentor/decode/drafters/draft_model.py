"""Drafter ``model``: a small language model of the same vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.decode.drafters.patience import Patience
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.drafter import Drafter, DraftLoss, Prefilled
from stentor.plugins import registry
from stentor.sequence.packing import Packed

_SMALL = MappingProxyType({"name": "causal-lm", "dim": 64, "layers": 1, "heads": 2})


class DraftModel(Drafter):
    """A small backbone drafts token by token (Leviathan et al. 2023, arXiv 2211.17192).

    It has embeddings and a head of its own for ids; what is heard or seen reaches it through a linear layer on the
    backbone's inputs. It is trained on the same targets.

    Args:
        model: the small backbone.
        length: most tokens drafted at a time.
        confidence: stop drafting when the draft's probability, by its own account, falls below this.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        model: Annotated[Mapping[str, Any], ComponentOf("backbone")] = _SMALL,
        length: int = 5,
        confidence: float = 0.0,
    ) -> None:
        super().__init__()
        ranges.refuse(
            {
                "length": (length, ranges.least(length, 1)),
                "confidence": (confidence, ranges.share(confidence)),
            },
            "drafter.",
        )
        configured = {key: value for key, value in model.items() if key != "name"}
        with torch.no_grad():
            size = backbone.project(backbone.embed(torch.zeros(1, dtype=torch.int64))).shape[-1]
        self.model: Backbone = registry().build("backbone", model["name"], size, **configured)
        self.bridge = nn.Linear(backbone.dim, self.model.dim, bias=False)
        self.length, self.confidence = length, confidence

    def inputs(self, ids: Tensor, inputs: Tensor) -> Tensor:
        """Its input embeddings of ids [...], -1 where it has to take the backbone's `inputs` [..., dim]."""
        return torch.where((ids < 0)[..., None], self.bridge(inputs), self.model.embed(ids.clamp(min=0)))

    def training_loss(self, packed: Packed, inputs: Tensor, hidden: Tensor) -> DraftLoss:
        own = self.inputs(packed.ids, inputs.detach())
        places = (packed.targets >= 0).nonzero().squeeze(1)
        drafted = self.model(own[None], packed=packed.lengths)[0][places]
        losses = functional.cross_entropy(self.model.project(drafted).float(), packed.targets[places], reduction="none")
        weights = packed.weights[places]
        value = (losses * weights).sum() / weights.sum()
        return DraftLoss(value, {"draft_model": float(value.detach())})

    def start(self, prefilled: Prefilled) -> ModelDraft:
        return ModelDraft(self, prefilled)


class ModelDraft:
    """Where the small model stands: a cache, and per row the last tokens, which the cache does not hold yet."""

    def __init__(self, drafter: DraftModel, prefilled: Prefilled) -> None:
        self.drafter, self.model, self.ends = drafter, drafter.model, prefilled.ends
        self.lengths = list(prefilled.lengths)
        self.cache = self.model.new_cache(len(self.lengths), prefilled.capacity)
        inputs = drafter.inputs(nn.utils.rnn.pad_sequence(list(prefilled.ids), batch_first=True), prefilled.inputs)
        mask = None
        if min(self.lengths) < inputs.shape[1]:
            counts = torch.tensor(self.lengths, device=inputs.device)
            mask = torch.arange(inputs.shape[1], device=inputs.device) < counts[:, None]
        self.model(inputs, mask=mask, cache=self.cache)
        self.pending = prefilled.first[:, None]

    def propose(self, most: int) -> Tensor:
        patience, drafted = Patience(len(self.lengths), self.ends, self.drafter.confidence), list[Tensor]()
        fed = self.pending
        while len(drafted) < min(most, self.drafter.length) and not patience.over:
            hidden = self.model(self.model.embed(fed), cache=self.cache)[:, -1]
            drafted.append(patience.choose(self.model.project(hidden)))
            fed = drafted[-1][:, None]
        return torch.stack(drafted, 1) if drafted else self.pending[:, :0]

    def accept(self, tokens: Tensor, counts: Sequence[int], hidden: Tensor) -> None:
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        # a wholly accepted draft has a last token that the cache lacks: the last two are always fed anew
        said = torch.cat([self.pending[:, -1:], tokens], 1)
        last = torch.tensor(counts, device=said.device)[:, None]
        self.pending = said.gather(1, torch.cat([last - 1, last], 1))
        self.cache.truncate(torch.tensor(self.lengths) - 1)

    def select(self, rows: Tensor) -> None:
        self.cache.select(rows)
        self.pending = self.pending[rows]
        self.lengths = [self.lengths[row] for row in rows.tolist()]
