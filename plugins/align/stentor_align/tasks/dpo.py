"""Task ``dpo``: learn from pairs of responses directly, without a reward model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.policy import Prompts
from stentor.interfaces.task import Loss
from stentor_align import legal, logprobs
from stentor_align.logprobs import Scored
from stentor_align.losses import masks, preference
from stentor_align.preferences.batches import Preferences, of_batch
from stentor_align.tasks.tuning import TuningTask

Objective = Literal["sigmoid", "ipo", "simpo"]


class DPOTask(TuningTask):
    """Direct preference optimisation (arXiv 2305.18290) of another run's policy, and its relatives.

    A row of the manifest has its prompt and the custom fields ``chosen`` and ``rejected``, or ``ranked``, of which
    every pair counts (`stentor_align.preferences.fields`). Rows that cannot be used are left out and counted as
    ``dropped``.

    Args:
        run: folder of the run whose policy is tuned.
        loss: ``sigmoid`` is DPO; ``ipo`` regresses the margin (arXiv 2310.12036); ``simpo`` needs no reference (arXiv
            2405.14734).
        beta: how strongly the policy is held to the reference; for ``simpo``, scales the difference.
        smoothing: probability that a preference is the wrong way round (conservative DPO); for ``sigmoid``.
        target: what the scaled difference has to exceed; for ``simpo``.
        reference: a ``frozen`` copy of the policy, the policy with its LoRA ``adapters-off``, or the log-probabilities
            that the ``manifest`` holds.
        reference_run: another run to be the frozen reference; empty: the policy as it began.
        left_out: blocks of the vocabulary whose tokens bear no loss, e.g. those of audio codes (arXiv 2506.08967).
        margin: pairs whose scores are known to be apart by this or less are left out.
        imitation: weight of the next-token loss on the chosen response, which is added (arXiv 2404.19733).
    """

    bearing: Tensor

    def __init__(
        self,
        policy: Any,
        *,
        run: str = "",
        loss: Objective = "sigmoid",
        beta: float = 0.1,
        smoothing: float = 0.0,
        target: float = 1.0,
        reference: Literal["frozen", "adapters-off", "manifest"] = "frozen",
        reference_run: str = "",
        left_out: Sequence[str] = (),
        margin: float = 0.0,
        imitation: float = 0.0,
    ) -> None:
        mode = "none" if loss == "simpo" or reference == "manifest" else reference
        ranges.refuse({
            "beta": (beta, ranges.above_zero(beta)),
            "smoothing": (smoothing, (0 <= smoothing < 0.5, f"at least 0 and less than 0.5, not {smoothing:g}")),
            "margin": (margin, ranges.least(margin, 0)),
            "imitation": (imitation, ranges.least(imitation, 0)),
        }, "task.")  # fmt: skip
        super().__init__(policy, run=run, reference=mode, reference_run=reference_run)  # type: ignore[arg-type]
        self.written = reference == "manifest" and loss != "simpo"
        self.loss, self.beta, self.smoothing, self.target = loss, beta, smoothing, target
        self.margin, self.imitation = margin, imitation
        self.register_buffer("bearing", masks.bearing(policy.vocabulary, left_out), persistent=False)

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        self.refresh()
        prompts = self.policy.ask(batch)
        found = of_batch(batch, self.policy, prompts, margin=self.margin)
        if not found:
            return self.tuned(None, 0, {"accuracy": 0.5, "margin": 0.0, "dropped": len(found.dropped)})
        scored = self._scored(self.policy, prompts, found)
        sums, counts = scored.totals()
        means = sums / counts.clamp(min=1)
        ratios = sums - self._reference(batch, found) if self.loss != "simpo" else sums
        losses = self._losses(ratios, means, counts)
        value = losses.mean() - self.imitation * means[: len(found)].mean()
        ahead = ((means if self.loss == "simpo" else ratios) * self.beta).detach()
        better, worse = ahead.chunk(2)
        parts: dict[str, float | Tensor] = {
            "accuracy": (better > worse).float().mean(),
            "margin": (better - worse).mean(),
            "chosen": better.mean(),
            "rejected": worse.mean(),
            "chosen_nll": -means[: len(found)].mean(),
            "dropped": len(found.dropped),
        }
        return self.tuned(value, len(found), parts)

    def _losses(self, ratios: Tensor, means: Tensor, counts: Tensor) -> Tensor:
        """float [P] of log-ratios, mean log-probabilities and counted tokens of all responses, each [2 P]."""
        if self.loss == "simpo":
            return preference.simpo(*means.chunk(2), beta=self.beta, margin=self.target)
        if self.loss == "ipo":
            return preference.ipo(*(ratios / counts.clamp(min=1)).chunk(2), beta=self.beta)
        return preference.dpo(*ratios.chunk(2), beta=self.beta, smoothing=self.smoothing)

    def _scored(self, policy: Any, prompts: Prompts, found: Preferences) -> Scored:
        read = logprobs.read(policy.backbone, prompts.embeddings, found.tokens, found.owners)
        allowed = legal.of_choices(prompts, found.owners, found.tokens)
        return logprobs.score(policy.backbone, read, legal=allowed, bearing=self.bearing)

    def _reference(self, batch: Mapping[str, Any], found: Preferences) -> Tensor:
        """Log-probabilities [2 P] of all responses under the reference."""
        if self.written:
            return self._written(found)
        with self.consulted() as other:
            return self._scored(other, other.ask(batch), found).totals()[0]

    def _written(self, found: Preferences) -> Tensor:
        responses = [pair.chosen for pair in found.pairs] + [pair.rejected for pair in found.pairs]
        sums = []
        for response, tokens in zip(responses, found.tokens, strict=True):
            values = response.get("log_probs")
            if values is None or len(values) != len(tokens):
                raise StentorError("a response has no log_probs for its tokens in the manifest; write them with "
                                   "'stentor preferences score', or take another reference.",
                                   path="task.reference", value="manifest")  # fmt: skip
            if response.get("reference") not in (None, self.told.get("sha256")):
                raise StentorError("the log_probs in the manifest are another reference's than the run that is tuned.",
                                   path="task.reference", value="manifest")  # fmt: skip
            bears = self.bearing.tolist()
            sums.append(sum(value for value, token in zip(values, tokens, strict=True) if bears[token]))
        return torch.tensor(sums, device=self.bearing.device)
