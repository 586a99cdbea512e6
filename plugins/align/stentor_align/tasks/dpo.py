"""Task ``dpo``: learn from pairs of responses directly, without a reward model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.config.reference import ComponentOf
from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.interfaces.policy import Prompts
from stentor.interfaces.task import Loss
from stentor_align import legal, logprobs
from stentor_align.logprobs import Scored
from stentor_align.losses import masks, preference
from stentor_align.preferences.batches import Preferences, of_batch, require
from stentor_align.rollout import PLAIN, SamplingSettings
from stentor_align.tasks import checking
from stentor_align.tasks.tuning import TuningTask
from stentor_align.tasks.watch import Watch

Objective = Literal["sigmoid", "ipo", "simpo"]
BETAS: Mapping[Objective, float] = {"sigmoid": 0.1, "ipo": 0.1, "simpo": 2.0}
"""What is usual: DPO's and IPO's holds to a reference, SimPO's scales a mean per token (2 to 2.5 in its paper)."""


class DPOTask(TuningTask):
    """Direct preference optimisation (arXiv 2305.18290) of another run's policy, and its relatives.

    A row of the manifest has its prompt and the custom fields ``chosen`` and ``rejected``, or ``ranked``, of which
    every pair counts (`stentor_align.preferences.fields`). Rows and pairs that cannot be used are left out and counted
    as ``dropped``; a training set without a single usable pair is refused before the first step, unless it is streamed.

    In validation the policy answers the prompts, the same way every time, and what guards against a gamed preference is
    measured (`stentor_align.tasks.watch`): its divergence from what it is held to or began as, how much longer and less
    various its responses have become than those of the latter, and what a judge thinks of them.

    Args:
        run: folder of the run whose policy is tuned.
        loss: ``sigmoid`` is DPO; ``ipo`` regresses the margin (arXiv 2310.12036); ``simpo`` needs no reference (arXiv
            2405.14734).
        beta: how strongly the policy is held to the reference; for ``simpo``, scales the difference; null: 0.1, and 2
            for ``simpo``, as in its paper.
        smoothing: probability that a preference is the wrong way round (conservative DPO); for ``sigmoid`` alone.
        target: what the scaled difference has to exceed; for ``simpo`` alone, where null stands for 1.
        reference: a ``frozen`` copy of the policy, the policy with its LoRA ``adapters-off``, or the log-probabilities
            that the ``manifest`` holds.
        reference_run: another run to be the frozen reference; empty: the policy as it began.
        left_out: blocks of the vocabulary whose tokens bear no loss, e.g. those of audio codes (arXiv 2506.08967).
        margin: pairs whose scores are known to be apart by this or less are left out.
        imitation: weight of the next-token loss on the chosen response, which is added (arXiv 2404.19733).
        judge: what scores responses in validation, never learnt from: a reward other than the one that made the pairs.
        samples: responses to each prompt of validation; 0: none, and nothing of them is measured.
        sampling: how they are sampled.
    """

    bearing: Tensor

    def __init__(
        self,
        policy: Any,
        *,
        run: str = "",
        loss: Objective = "sigmoid",
        beta: float | None = None,
        smoothing: float = 0.0,
        target: float | None = None,
        reference: Literal["frozen", "adapters-off", "manifest"] = "frozen",
        reference_run: str = "",
        left_out: Sequence[str] = (),
        margin: float = 0.0,
        imitation: float = 0.0,
        judge: Annotated[Mapping[str, Any] | None, ComponentOf("reward")] = None,
        samples: int = 2,
        sampling: SamplingSettings = PLAIN,
    ) -> None:
        beta = BETAS[loss] if beta is None else beta
        mode = "none" if loss == "simpo" or reference == "manifest" else reference
        ranges.refuse({
            "beta": (beta, ranges.above_zero(beta)),
            "smoothing": (smoothing, (0 <= smoothing < 0.5, f"at least 0 and less than 0.5, not {smoothing:g}")),
            "margin": (margin, ranges.least(margin, 0)),
            "imitation": (imitation, ranges.least(imitation, 0)),
        }, "task.")  # fmt: skip
        if smoothing and loss != "sigmoid":
            raise StentorError(f"only loss 'sigmoid' knows it, not '{loss}'.", path="task.smoothing", value=smoothing)
        if target is not None and loss != "simpo":
            raise StentorError(f"only loss 'simpo' knows it, not '{loss}'.", path="task.target", value=target)
        if reference_run and reference == "manifest":
            raise StentorError("another run can only be a frozen reference, not that of the manifest.",
                               path="task.reference_run", value=reference_run)  # fmt: skip
        super().__init__(policy, run=run, reference=mode, reference_run=reference_run)  # type: ignore[arg-type]
        self.written = reference == "manifest" and loss != "simpo"
        self.loss, self.beta, self.smoothing = loss, beta, smoothing
        self.target = 1.0 if target is None else target
        self.watch = Watch(judge, samples, SamplingSettings.of(sampling))
        self.margin, self.imitation = margin, imitation
        self.register_buffer("bearing", masks.bearing(policy.vocabulary, left_out), persistent=False)

    @classmethod
    def check_recipe(cls, config: Mapping[str, Any]) -> list[Problem]:
        return [*super().check_recipe(config), *checking.without_log_probs(config)]

    def acquaint(self, rows: Sequence[Utterance]) -> None:
        """Refuse a training set without a pair that could be learnt from, and a judge that cannot be loaded."""
        require(rows, self.policy, margin=self.margin, fit=self._fit)
        self.watch.load_judge()

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        self.refresh()
        loss = self._preferred(batch)
        if self.training or not self.watch:
            return loss
        told = self.watch.figures(self.policy, batch, self.origin)
        return Loss(loss.value, loss.units, {**loss.parts, **told.means}, {**loss.counts, **told.counts})

    def _preferred(self, batch: Mapping[str, Any]) -> Loss:
        prompts = self.policy.ask(batch)
        found = of_batch(batch, self.policy, prompts, margin=self.margin, fit=self._fit)
        if not found:
            return self.tuned(None, 0, {"dropped": len(found.dropped)}, {"dropped": 1})
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
        return self.tuned(value, len(found), parts, {"dropped": 1})

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

    def _fit(self, response: Mapping[str, Any], tokens: Sequence[int]) -> None:
        """Object to a response without the log-probabilities that the reference is told by."""
        if not self.written:
            return
        values = response.get("log_probs")
        if values is None or len(values) != len(tokens):
            raise StentorError("a response has no log_probs for its tokens, which task.reference=manifest reads; write "
                               "them with 'stentor preferences score'.")  # fmt: skip
        if response.get("reference") not in (None, self.told.get("sha256")):
            raise StentorError("its log_probs are another reference's than the run that is tuned.")

    def _written(self, found: Preferences) -> Tensor:
        responses = [pair.chosen for pair in found.pairs] + [pair.rejected for pair in found.pairs]
        bears = self.bearing.tolist()
        sums = [
            sum(value for value, token in zip(response["log_probs"], tokens, strict=True) if bears[token])
            for response, tokens in zip(responses, found.tokens, strict=True)
        ]
        return torch.tensor(sums, device=self.bearing.device)
