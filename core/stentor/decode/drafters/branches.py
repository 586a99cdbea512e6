"""Drafter ``branches``: serial prediction branches on the backbone's last hidden state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.config import ranges
from stentor.decode.drafters.patience import Patience
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.drafter import Drafter, DraftLoss, Prefilled
from stentor.model.branch_copy import DraftedBy, FusedBranchCopy
from stentor.model.branch_steps import BranchSteps
from stentor.model.branches import Branch, branch_losses, loss_weights
from stentor.sequence.packing import Packed


class Branches(Drafter):
    """Multi-token prediction by serial branches (StepAudio 2.5, arXiv 2605.23463): branch i predicts token t + 1 + i.

    Every branch is one layer of the backbone's kind, which begins as a copy of its last one; embeddings and head are
    the backbone's own. Branches see all earlier positions, the prompt's included, through caches of their own.

    Args:
        depth: number of branches: most tokens drafted at a time.
        decay: each branch's loss weighs this much of the one before it; the weights sum to 1.
        confidence: stop drafting when the draft's probability, by the branches' own account, falls below this.
        vocabulary: draft only the ids that were training targets most often, this many at most (FR-Spec, Zhao et al.
            2025, arXiv 2502.14856): a branch then reads these rows of the head alone. Ids are counted while the task is
            trained. 0, or nothing counted: the whole vocabulary.
    """

    counts: Tensor | None

    def __init__(
        self,
        backbone: Backbone,
        *,
        depth: int = 5,
        decay: float = 0.9,
        confidence: float = 0.0,
        vocabulary: int = 0,
    ) -> None:
        super().__init__()
        ranges.refuse(
            {
                "depth": (depth, ranges.least(depth, 1)),
                "decay": (decay, ranges.above_zero(decay)),
                "confidence": (confidence, ranges.share(confidence)),
                "vocabulary": (vocabulary, ranges.least(vocabulary, 0)),
            },
            "drafter.",
        )
        self._backbone = (backbone,)  # in a tuple, so that it is no submodule
        self.branches = nn.ModuleList(Branch(backbone) for _ in range(depth))
        self.length, self.confidence, self.vocabulary = depth, confidence, vocabulary
        self.register_buffer("counts", _no_counts(backbone) if vocabulary else None)
        self.weights = loss_weights(depth, decay)
        self._fused = FusedBranchCopy()

    @property
    def backbone(self) -> Backbone:
        """The backbone whose embeddings and head the branches use."""
        return self._backbone[0]

    def load_pretrained(self) -> dict[str, str]:
        """Copy the backbone's last layer, which may have been filled in since the branches were built."""
        for branch in self._parts():
            branch.tail.copy(self.backbone)
        return {}

    def training_loss(self, packed: Packed, inputs: Tensor, hidden: Tensor) -> DraftLoss:
        if self.counts is not None and self.training:
            said = packed.targets[packed.targets >= 0]
            self.counts += said.bincount(minlength=len(self.counts))
        losses = branch_losses(self._parts(), self.backbone.project, packed, inputs, hidden)
        value = torch.stack(losses) @ torch.tensor(self.weights, device=hidden.device)
        return DraftLoss(value, {f"branch_{i}": float(loss.detach()) for i, loss in enumerate(losses, 1)})

    def start(self, prefilled: Prefilled) -> BranchDraft:
        batch = len(prefilled.lengths)
        parts = DraftedBy(self.backbone, self._parts(), self.counts, self.vocabulary)
        steps = self._fused.steps(parts, batch, prefilled.capacity)
        return BranchDraft(self, steps, prefilled)

    def _parts(self) -> list[Branch]:
        return list(self.branches)  # type: ignore[arg-type]


@torch.no_grad()
def _no_counts(backbone: Backbone) -> Tensor:
    """int64 [V], zeros."""
    size = backbone.project(backbone.embed(torch.zeros(1, dtype=torch.int64))).shape[-1]
    return torch.zeros(size, dtype=torch.int64)


class BranchDraft:
    """Where the branches stand in each row.

    Row b has ``lengths[b]`` positions whose hidden state is known. The last ``counts[b]`` of them, the window, have yet
    to go through the branches, some of them again: branch i at position s has seen token s + i, so that the last i - 1
    positions of the pass before, at least, were run on drafted tokens. All branches run the window of the one that
    needs most. Windows are right-padded where rows differ.

    Attributes:
        steps: the caches; they hold what comes before the windows.
        hidden: float [B, W, dim], the backbone's hidden states in the window.
        tokens: [B, W, dim], what follows each position of the window, embedded.
    """

    def __init__(self, drafter: Branches, steps: BranchSteps, prefilled: Prefilled) -> None:
        self.drafter, self.steps, self.ends = drafter, steps, prefilled.ends
        self.lengths = list(prefilled.lengths)
        self.counts = list(prefilled.lengths)
        self.hidden = prefilled.hidden
        self.complete = True
        following = prefilled.inputs.roll(-1, 1)
        last = torch.tensor(self.counts, device=following.device) - 1
        following[torch.arange(len(last), device=following.device), last] = drafter.backbone.embed(prefilled.first)
        self.tokens = steps.given(following)

    def propose(self, most: int) -> Tensor:
        (batch, width), depth = self.hidden.shape[:2], min(most, self.drafter.length)
        if depth < 1:
            self.complete = False
            return torch.empty(batch, 0, dtype=torch.int64, device=self.hidden.device)
        tokens = functional.pad(self.tokens, (0, 0, 0, depth - 1))
        patience = Patience(batch, self.ends, self.drafter.confidence, self.steps.ids)
        even, drafted, hidden = min(self.counts) == width, list[Tensor](), self.hidden
        rows = torch.arange(batch, device=hidden.device)
        counts = torch.tensor(self.counts, device=hidden.device)
        self.steps.begin(self.counts, width)
        for index in range(depth):
            hidden = self.steps.run(index, hidden, tokens[:, index : index + width])
            last = hidden[:, -1] if even else hidden[rows, counts - 1]
            drafted.append(patience.choose(self.steps.project(last)))
            if index + 1 == depth or patience.over:
                break
            if even:
                tokens[:, width + index] = self.steps.embed(drafted[-1])
            else:
                tokens[rows, counts + index] = self.steps.embed(drafted[-1])
        self.steps.end()
        self.complete = len(drafted) == self.drafter.length
        return torch.stack(drafted, 1)

    def accept(self, tokens: Tensor, counts: Sequence[int], hidden: Tensor) -> None:
        known = [old + new for old, new in zip(self.counts, counts, strict=True)]
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        depth = self.drafter.length
        if self.complete:
            kept = [min(max(new, depth), count) for new, count in zip(counts, known, strict=True)]
        else:  # some branches have not run: they need the whole window
            kept = known
        most = max(counts)
        embedded, hidden = self.steps.embed(tokens[:, :most]), hidden[:, :most]
        width = self.hidden.shape[1]
        if min(self.counts) == width and min(counts) == most:
            self.hidden = torch.cat([self.hidden, hidden], 1)[:, -kept[0] :]
            self.tokens = torch.cat([self.tokens, embedded], 1)[:, -kept[0] :]
        else:
            places = self._places(known, kept, width)
            self.hidden = torch.cat([self.hidden, hidden], 1).gather(1, places.expand(-1, -1, hidden.shape[-1]))
            self.tokens = torch.cat([self.tokens, embedded], 1).gather(1, places.expand(-1, -1, embedded.shape[-1]))
        self.counts = kept
        self.steps.truncate([length - count for length, count in zip(self.lengths, kept, strict=True)])

    def _places(self, known: Sequence[int], kept: Sequence[int], width: int) -> Tensor:
        """int64 [B, W, 1]: where the last ``kept[b]`` of row b's positions lie in its old window and the new ones."""
        device = self.hidden.device
        old, all_, last = (torch.tensor(row, device=device)[:, None] for row in (self.counts, known, kept))
        order = all_ - last + torch.arange(max(kept), device=device)
        order = torch.where(order < all_, order, 0)  # padding, which may be anything finite
        return torch.where(order < old, order, order - old + width)[..., None]

    def select(self, rows: Tensor) -> None:
        self.hidden, self.tokens = self.hidden[rows], self.tokens[rows]
        self.lengths = [self.lengths[row] for row in rows.tolist()]
        self.counts = [self.counts[row] for row in rows.tolist()]
        self.steps.select(rows)
