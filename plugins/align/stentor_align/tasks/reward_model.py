"""Task ``reward-model``: a head on a policy's backbone that scores responses by their tokens, learnt from pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stentor.config import ranges
from stentor.data.utterance import Utterance
from stentor.interfaces.policy import Prompts
from stentor.interfaces.task import Loss
from stentor_align import logprobs
from stentor_align.losses import bradley_terry
from stentor_align.losses.sequences import mean, padded, valid
from stentor_align.preferences.batches import of_batch, require
from stentor_align.tasks.tuning import TuningTask


class RewardModelTask(TuningTask):
    """A Bradley-Terry reward model on tokens: it begins as a policy and never makes a waveform (arXiv 2511.03601).

    Rows are those of ``dpo``. The trained run is used as reward ``bradley-terry``.

    Args:
        run: folder of the run whose policy it begins as.
        level: a response's score is that of its ``last`` token, which has read all of it, or the mean of all of its
            ``tokens``, each of which then has a score of its own (arXiv 2306.00398).
        by_margin: how much a known difference of two scores adds to the margin by which the better must win.
        centre: weight of what keeps scores around 0 (arXiv 2312.09244).
        margin: pairs whose scores are known to be apart by this or less are left out.
    """

    metrics = ()

    def __init__(
        self,
        policy: Any,
        *,
        run: str = "",
        level: Literal["last", "tokens"] = "last",
        by_margin: float = 0.0,
        centre: float = 0.01,
        margin: float = 0.0,
    ) -> None:
        ranges.refuse({name: (value, ranges.least(value, 0)) for name, value in
                       (("by_margin", by_margin), ("centre", centre), ("margin", margin))}, "task.")  # fmt: skip
        super().__init__(policy, run=run)
        self.metrics, self.capabilities = (), frozenset()  # type: ignore[misc]
        self.level, self.by_margin, self.centre, self.margin = level, by_margin, centre, margin
        self.head = nn.Linear(policy.backbone.dim, 1)
        nn.init.normal_(self.head.weight, std=(policy.backbone.dim + 1) ** -0.5)
        nn.init.zeros_(self.head.bias)

    def acquaint(self, rows: Sequence[Utterance]) -> None:
        """Refuse a training set without a pair."""
        require(rows, self.policy, margin=self.margin)

    def scores(self, prompts: Prompts, tokens: Sequence[Sequence[int]], owners: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The score of each response, float [B], and of each of its tokens, [B, T], padded with 0.

        Args:
            prompts: from the policy's `ask`.
            tokens: ids of each response; an empty one scores 0.
            owners: which prompt each response answers.
        """
        read = logprobs.read(self.policy.backbone, prompts.embeddings, tokens, owners, after=True)
        assert read.after is not None
        values = padded(self.head(read.after.to(self.head.weight.dtype))[:, 0], read.lengths)
        mask = valid(read.lengths, values.device)
        if self.level == "tokens":
            return mean(values, mask), values
        last = (mask.sum(1) - 1).clamp(min=0)
        final = values.gather(1, last[:, None])[:, 0] if values.shape[1] else values.sum(1)
        return final.masked_fill(~mask.any(1), 0.0), values

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        self.refresh()
        found = of_batch(batch, self.policy, margin=self.margin)
        if not found:
            return self.tuned(None, 0, {"dropped": len(found.dropped)}, {"dropped": 1})
        scores, _ = self.scores(self.policy.ask(batch), found.tokens, found.owners)
        better, worse = scores.chunk(2)
        margins = torch.tensor([pair.margin for pair in found.pairs], device=better.device).nan_to_num(0.0)
        losses = bradley_terry.of_responses(better, worse, margin=self.by_margin * margins, centre=self.centre)
        parts: dict[str, float | Tensor] = {
            "accuracy": (better > worse).float().mean(),
            "margin": (better - worse).mean(),
            "dropped": len(found.dropped),
        }
        return self.tuned(losses.mean(), len(found), parts, {"dropped": 1})

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """The score of every row's own text as a response, as text."""
        tokens = [self.policy.tokens_of({"text": text}) for text in batch["texts"]]
        scores, _ = self.scores(self.policy.ask(batch), tokens, range(len(tokens)))
        return [f"{score:.4f}" for score in scores.tolist()]
